// What is asked of the compiler, GCC or clang: inlining, and code for one instruction set.
#pragma once

// Vectors must stay in registers, so the whole of a kernel is one function.
#define ONEWARP_INLINE inline __attribute__((always_inline))
// What is rare stays out of that function, and takes vectors by value, so that none needs an address.
#define ONEWARP_NOINLINE inline __attribute__((noinline))

// What stands between these two is compiled for an instruction set.
#define ONEWARP_TEXT(text) #text
#if defined(__clang__)
#define ONEWARP_FOR(set) _Pragma(ONEWARP_TEXT(clang attribute push(__attribute__((target(set))), apply_to = function)))
#define ONEWARP_END_FOR _Pragma("clang attribute pop")
#else
#define ONEWARP_FOR(set) _Pragma("GCC push_options") _Pragma(ONEWARP_TEXT(GCC target(set)))
#define ONEWARP_END_FOR _Pragma("GCC pop_options")
#endif
#define ONEWARP_FOR_AVX2 ONEWARP_FOR("avx2,fma")
#define ONEWARP_FOR_AVX512 ONEWARP_FOR("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

// The instruction sets that an -inl.h file can be included for.
#define ONEWARP_PORTABLE 0
#define ONEWARP_AVX2 1
#define ONEWARP_AVX512 2
