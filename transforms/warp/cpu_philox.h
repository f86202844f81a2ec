// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), as in transforms/draw.py.
#pragma once

#include <cstdint>

#include "cpu_block.h"

namespace onewarp {

// A counter of four words to as many random words, under a key of two.
inline void philox(const uint32_t* counter, uint32_t first, uint32_t second, uint32_t* out) {
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];
    for (int round = 0; round < 10; round++, first += 0x9E3779B9, second += 0xBB67AE85) {
        const uint64_t p = uint64_t{0xD2511F53} * a, q = uint64_t{0xCD9E8D57} * c;
        a = static_cast<uint32_t>(q >> 32) ^ b ^ first;
        c = static_cast<uint32_t>(p >> 32) ^ d ^ second;
        b = static_cast<uint32_t>(q), d = static_cast<uint32_t>(p);
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

// All counters, four words each; why not, or null.
inline const char* philox(Block<const uint32_t> counters, uint32_t first, uint32_t second, Block<uint32_t> out) {
    if (counters.count % 4) return "a counter must have four words";
    if (out.count != counters.count) return "there must be as many words out as in";
    for (int64_t i = 0; i < counters.count; i += 4) philox(counters.at + i, first, second, out.at + i);
    return nullptr;
}

}  // namespace onewarp
