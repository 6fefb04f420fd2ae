// Dropout: keeps and scales a value, or drops it, by a random number; the same for activations and gradients.

#include "bfloat16.h"
#include "parallel.h"

constexpr Index CHUNK = 1 << 14;

// Always multiplies, and takes scalars by value: compilers vectorize only that.
template <class Kept>
static void drop(const Kept* __restrict from, const std::int16_t* __restrict drawn, Kept* __restrict to, Index count,
                 int least, float scale) {
    for (Index at = 0; at < count; at++) narrow(widen(from[at]) * (drawn[at] >= least ? scale : 0.0f), to[at]);
}

template <class Kept>
static void run(const Kept* from, const std::int16_t* drawn, Kept* to, Index count, int least, float scale, Index threads) {
    in_parallel(threads, (count + CHUNK - 1) / CHUNK, [=](Index chunk) {
        const Index first = chunk * CHUNK;
        drop(from + first, drawn + first, to + first, std::min(CHUNK, count - first), least, scale);
    });
}

extern "C" void dropout_run(const void* from, const std::int16_t* drawn, void* to, Index count, int least, float scale,
                            int bfloat16, Index threads) {
    if (bfloat16) run((const std::uint16_t*)from, drawn, (std::uint16_t*)to, count, least, scale, threads);
    else run((const float*)from, drawn, (float*)to, count, least, scale, threads);
}
