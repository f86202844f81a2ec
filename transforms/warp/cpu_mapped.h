// Mapped files whose pages may be lost: a file that is cut, or a disk that fails, would end the process by SIGBUS.
//
// A page that cannot be had is replaced by zeros, and counted; who reads the map asks for the count afterwards.
#pragma once

#include <atomic>
#include <cstdint>

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#include <sys/mman.h>
#include <unistd.h>
#define ONEWARP_GUARDS_MAPS 1
#endif

namespace onewarp {

struct MappedRange {
    std::atomic<uintptr_t> begin{0}, end{0};
    std::atomic<uint64_t> lost{0};
};

constexpr int kMappedRanges = 4096;
inline MappedRange mapped_ranges[kMappedRanges];

#if defined(ONEWARP_GUARDS_MAPS)
inline struct sigaction handler_before;
inline uintptr_t page_bytes;

inline void replace_lost_page(int number, siginfo_t* info, void*) {
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    for (MappedRange& range : mapped_ranges) {
        if (address < range.begin.load() || address >= range.end.load()) continue;
        void* page = reinterpret_cast<void*>(address / page_bytes * page_bytes);
        if (mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
        range.lost.fetch_add(1);
        return;
    }
    sigaction(number, &handler_before, nullptr);  // not ours: the same access fails again, under the handler before us
}

inline void install_guard() {
    page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = replace_lost_page;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGBUS, &action, &handler_before);
}
#else
inline void install_guard() {}
#endif

// A number for the addresses from `begin` up to `end`, which are guarded from now on; -1 where too many are.
inline int guard_range(uintptr_t begin, uintptr_t end) {
    static const bool installed = (install_guard(), true);
    (void)installed;
    for (int i = 0; i < kMappedRanges; ++i) {
        uintptr_t none = 0;
        if (!mapped_ranges[i].begin.compare_exchange_strong(none, begin)) continue;
        mapped_ranges[i].lost = 0;
        mapped_ranges[i].end = end;
        return i;
    }
    return -1;
}

inline void release_range(int number) {
    mapped_ranges[number].end = 0;
    mapped_ranges[number].begin = 0;
}

}  // namespace onewarp
