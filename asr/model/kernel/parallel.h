// Threads of the OpenMP runtime that torch has loaded, without headers of torch or a compiler flag.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

using Index = std::int64_t;

// The entry that compilers call for `#pragma omp parallel`. GNU's and LLVM's runtimes both have it, so it is found in
// whichever torch has loaded, and there is no second pool of threads.
extern "C" void GOMP_parallel(void (*work)(void*), void* data, unsigned threads, unsigned flags) __attribute__((weak));

template <class Work>
static void in_parallel(Index threads, Index items, const Work& work) {
    struct Shared {
        const Work& work;
        Index items;
        std::atomic<Index> next{0};
    } shared{work, items};
    const auto run = [](void* data) {
        auto& team = *static_cast<Shared*>(data);
        for (Index item; (item = team.next++) < team.items;) team.work(item);
    };
    if (threads > 1 && items > 1 && GOMP_parallel) GOMP_parallel(run, &shared, std::min(threads, items), 0);
    else run(&shared);
}
