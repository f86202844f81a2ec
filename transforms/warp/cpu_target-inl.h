// The instruction set in hand: its vectors, and the namespace that the kernels over them lie in.
//
// An -inl.h file is included once for each instruction set, whose number ONEWARP_TARGET is; without one it is that of
// plain C++, so that an editor can open each file alone. Its guard lets it in once for each: whoever includes it for
// the next instruction set defines ONEWARP_TOGGLE, or takes it away, and the guard asks whether the file is as far as
// that.
#ifndef ONEWARP_TARGET
#define ONEWARP_TARGET ONEWARP_PORTABLE
#endif

#if defined(ONEWARP_TARGET_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_TARGET_INL_H
#undef ONEWARP_TARGET_INL_H
#else
#define ONEWARP_TARGET_INL_H
#endif

#include "cpu_compiler.h"

// clang-format off
#undef ONEWARP_BEGIN
#undef ONEWARP_END
#if ONEWARP_TARGET == ONEWARP_AVX512
#include "cpu_avx512.h"
#define ONEWARP_BEGIN ONEWARP_FOR_AVX512 namespace onewarp::avx512 {
#define ONEWARP_END } ONEWARP_END_FOR
#elif ONEWARP_TARGET == ONEWARP_AVX2
#include "cpu_avx2.h"
#define ONEWARP_BEGIN ONEWARP_FOR_AVX2 namespace onewarp::avx2 {
#define ONEWARP_END } ONEWARP_END_FOR
#else
#include "cpu_portable.h"
#define ONEWARP_BEGIN namespace onewarp::portable {
#define ONEWARP_END }
#endif
// clang-format on

#endif
