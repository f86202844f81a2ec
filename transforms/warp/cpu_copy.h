// Bytes copied past the caches, for batches that do not fit into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "cpu_block.h"

namespace onewarp {

// As memcpy, but the target's lines are not read before they are written: a third less for the memory to do.
inline void copy_past_caches(uint8_t* target, const uint8_t* source, size_t bytes) {
#if defined(__SSE2__)
    constexpr size_t kLine = 64, kAhead = 2048;
    const size_t first = -reinterpret_cast<uintptr_t>(target) % kLine;
    if (bytes < first + kLine) {
        std::memcpy(target, source, bytes);
        return;
    }
    std::memcpy(target, source, first);
    size_t i = first;
    for (; i + kLine <= bytes; i += kLine) {
        __builtin_prefetch(source + i + kAhead);
        for (size_t k = i; k < i + kLine; k += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(target + k),
                             _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + k)));
    }
    std::memcpy(target + i, source + i, bytes - i);
    _mm_sfence();
#else
    std::memcpy(target, source, bytes);
#endif
}

// Why not, or null.
inline const char* copy_past_caches(Block<uint8_t> target, Block<const uint8_t> source) {
    if (target.count != source.count) return "there must be as many bytes to copy to as to copy";
    copy_past_caches(target.at, source.at, static_cast<size_t>(target.count));
    return nullptr;
}

}  // namespace onewarp
