// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), as in transforms/draw.py.
#pragma once

#include <cstdint>

namespace onewarp {

// `count` counters of four words to as many numbers, under a key of two words.
inline void philox(const uint32_t* counters, int64_t count, uint32_t first, uint32_t second, uint32_t* out) {
    for (int64_t i = 0; i < count; i++, counters += 4, out += 4) {
        uint32_t a = counters[0], b = counters[1], c = counters[2], d = counters[3], key = first, other = second;
        for (int round = 0; round < 10; round++, key += 0x9E3779B9, other += 0xBB67AE85) {
            const uint64_t p = uint64_t{0xD2511F53} * a, q = uint64_t{0xCD9E8D57} * c;
            a = static_cast<uint32_t>(q >> 32) ^ b ^ key;
            c = static_cast<uint32_t>(p >> 32) ^ d ^ other;
            b = static_cast<uint32_t>(q), d = static_cast<uint32_t>(p);
        }
        out[0] = a, out[1] = b, out[2] = c, out[3] = d;
    }
}

}  // namespace onewarp
