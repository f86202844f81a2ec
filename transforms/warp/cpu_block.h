// Memory as it comes from Python: never without its length, which whoever reads or writes it compares first.
#pragma once

#include <cstdint>

namespace onewarp {

// Numbers in memory, and how many there are: null and 0 where an optional parameter is None.
template <class T>
struct Block {
    T* at;
    int64_t count;
};

// Whether a parameter has `count` numbers, or is not there although it may.
template <class T>
bool fits(const Block<T>& block, int64_t count, bool optional = false) {
    return block.count == count || (optional && !block.at && !block.count);
}

}  // namespace onewarp
