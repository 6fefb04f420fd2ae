// Dropout: what a drawn number lets pass, scaled. The same forwards, of activations, and backwards, of gradients.

#include "parallel.h"

#include <cstring>

constexpr Index CHUNK = 1 << 14;

static inline float widen(float x) { return x; }

static inline float widen(std::uint16_t x) {
    const std::uint32_t bits = std::uint32_t(x) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static inline void narrow(float x, float& to) { to = x; }

// Rounds to the nearest bfloat16, of two to the even one.
static inline void narrow(float x, std::uint16_t& to) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    to = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// Multiplied in any case and called with plain numbers, which compilers need to do it in vectors.
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
