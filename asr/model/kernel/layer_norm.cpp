// LayerNorm over each group of units of a row, then the scale and the shift of each unit, in one pass over the rows. Sums
// are in float32, whatever the type of the values.

#include "bfloat16.h"
#include "parallel.h"

#include <cmath>
#include <vector>

constexpr Index ROWS = 64;
constexpr Index LANES = 16;
constexpr float EPSILON = 1e-5f;

struct Rows {
    Index rows, groups, hidden, threads;
    const void* from;
    const float *scale, *shift;
    void* to;
    float* means;     // per group and row
    float* inverses;  // 1 / standard deviation
    const void* d_to;
    void* d_from;
    float *d_scale, *d_shift;
};

// Sums in lanes: compilers vectorize only that.
template <class Term>
static inline float sum(Index count, const Term& term) {
    float lanes[LANES] = {}, total = 0;
    Index at = 0;
    for (; at + LANES <= count; at += LANES)
        for (Index lane = 0; lane < LANES; lane++) lanes[lane] += term(at + lane);
    for (; at < count; at++) total += term(at);
    for (float lane : lanes) total += lane;
    return total;
}

template <class Kept>
static void forward(const Rows& r) {
    in_parallel(r.threads, (r.rows + ROWS - 1) / ROWS, [&r](Index block) {
        std::vector<float> wide(r.hidden);
        float* x = wide.data();
        const Index end = std::min(r.rows, (block + 1) * ROWS) * r.groups;
        for (Index place = block * ROWS * r.groups; place < end; place++) {
            const Kept* from = (const Kept*)r.from + place * r.hidden;
            Kept* __restrict to = (Kept*)r.to + place * r.hidden;
            const float* scale = r.scale + place % r.groups * r.hidden;
            const float* shift = r.shift + place % r.groups * r.hidden;
            for (Index unit = 0; unit < r.hidden; unit++) x[unit] = widen(from[unit]);
            const float mean = sum(r.hidden, [=](Index unit) { return x[unit]; }) / r.hidden;
            const auto square = [=](Index unit) { return (x[unit] - mean) * (x[unit] - mean); };
            const float inverse = 1 / std::sqrt(sum(r.hidden, square) / r.hidden + EPSILON);
            for (Index unit = 0; unit < r.hidden; unit++)
                narrow((x[unit] - mean) * inverse * scale[unit] + shift[unit], to[unit]);
            r.means[place] = mean;
            r.inverses[place] = inverse;
        }
    });
}

// A thread takes all rows of a group, so that sums over the rows always have the same order.
template <class Kept>
static void backward(const Rows& r) {
    in_parallel(r.threads, r.groups, [&r](Index group) {
        std::vector<float> buffers(4 * r.hidden);
        float *x = buffers.data(), *d = x + r.hidden, *d_scale = d + r.hidden, *d_shift = d_scale + r.hidden;
        const float* scale = r.scale + group * r.hidden;
        for (Index place = group; place < r.rows * r.groups; place += r.groups) {
            const Kept* from = (const Kept*)r.from + place * r.hidden;
            const Kept* d_to = (const Kept*)r.d_to + place * r.hidden;
            Kept* __restrict d_from = (Kept*)r.d_from + place * r.hidden;
            const float mean = r.means[place], inverse = r.inverses[place];
            for (Index unit = 0; unit < r.hidden; unit++) {
                const float normalized = (widen(from[unit]) - mean) * inverse, gradient = widen(d_to[unit]);
                d_shift[unit] += gradient;
                d_scale[unit] += gradient * normalized;
                x[unit] = normalized;
                d[unit] = gradient * scale[unit];
            }
            const float along_mean = sum(r.hidden, [=](Index unit) { return d[unit]; }) / r.hidden;
            const float along_x = sum(r.hidden, [=](Index unit) { return d[unit] * x[unit]; }) / r.hidden;
            for (Index unit = 0; unit < r.hidden; unit++)
                narrow(inverse * (d[unit] - along_mean - x[unit] * along_x), d_from[unit]);
        }
        std::copy(d_scale, d_scale + r.hidden, r.d_scale + group * r.hidden);
        std::copy(d_shift, d_shift + r.hidden, r.d_shift + group * r.hidden);
    });
}

extern "C" void layer_norm_run(const Rows* rows, int bfloat16, int backwards) {
    if (bfloat16) backwards ? backward<std::uint16_t>(*rows) : forward<std::uint16_t>(*rows);
    else backwards ? backward<float>(*rows) : forward<float>(*rows);
}
