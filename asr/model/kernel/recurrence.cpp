// The recurrence of one layer, forward and backward, over the frames of utterances without padding.
//
// Utterances are sorted by decreasing length, so those with a frame t come first. Their rows of that frame are contiguous,
// frame after frame, as in a packed sequence: row(t, u) = offsets[t] + u. Outputs and their gradients are padded,
// (frames, batch, directions * hidden), in the order of the batch: order[u] is the place of utterance u there.
//
// A thread computes one direction of a block of utterances over all frames, so no thread waits for another. Each
// utterance is computed by the same operations in the same order whatever the others are: its results have the same bits
// in any batch and with any number of threads.

#include "parallel.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

// Lanes of a vector, the registers for sums of products, and the most rows of a tile of sums.
#if defined(__AVX512F__)
#include <immintrin.h>
constexpr int LANES = 16, REGISTERS = 24, TILE_ROWS = 8;
#elif defined(__AVX2__)
constexpr int LANES = 8, REGISTERS = 12, TILE_ROWS = 6;
#elif defined(__ARM_NEON)
constexpr int LANES = 4, REGISTERS = 24, TILE_ROWS = 8;
#else
constexpr int LANES = 4, REGISTERS = 12, TILE_ROWS = 6;
#endif
#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define MATRIX_UNIT
#endif
constexpr int MOST_PANELS = 4;

using Vector = float __attribute__((vector_size(LANES * sizeof(float))));

enum Cell { RNN, LSTM, GRU, LIGRU };
constexpr int GATES[] = {1, 4, 3, 2};
// Biases of each unit: one per gate, and in a GRU a last one for the candidate outside the reset product.
constexpr int BIASES[] = {1, 4, 4, 0};

// ---------------------------------------------------------------------------------------------------- arithmetic

static inline Vector load(const float* from) {
    Vector loaded;
    std::memcpy(&loaded, from, sizeof loaded);
    return loaded;
}

static inline void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

static inline Vector reciprocal(Vector x) {
#if defined(__AVX512F__)
    const Vector guess = (Vector)_mm512_rcp14_ps((__m512)x);
    return guess + guess * (1.0f - x * guess);
#else
    return 1.0f / x;
#endif
}

// NaN stays NaN.
static inline Vector clamp(Vector x, float bound) {
    const Vector high = bound - Vector{}, low = -high;
#if defined(__AVX512F__)
    return (Vector)_mm512_max_ps((__m512)low, _mm512_min_ps((__m512)high, (__m512)x));
#else
    x = x > high ? high : x;
    return x < low ? low : x;
#endif
}

// tanh of several vectors, interleaved to hide the latency of each operation. A quotient of polynomials, as in Eigen and
// XLA, accurate to 3e-7.
template <int N>
static inline void tanh(Vector (&x)[N]) {
    constexpr float odd[] = {-2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f,
                             5.12229709037114e-08f,  1.48572235717979e-05f, 6.37261928875436e-04f,
                             4.89352455891786e-03f};
    constexpr float even[] = {1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f,
                              4.89352518554385e-03f};
    Vector square[N], above[N], below[N];
    for (int n = 0; n < N; n++) x[n] = clamp(x[n], 7.90531110763549805f);
    for (int n = 0; n < N; n++) square[n] = x[n] * x[n];
    for (int n = 0; n < N; n++) above[n] = square[n] * odd[0] + odd[1];
    for (int n = 0; n < N; n++) below[n] = square[n] * even[0] + even[1];
    for (int term = 2; term < 7; term++) {
        for (int n = 0; n < N; n++) above[n] = above[n] * square[n] + odd[term];
        if (term < 4)
            for (int n = 0; n < N; n++) below[n] = below[n] * square[n] + even[term];
    }
    for (int n = 0; n < N; n++) x[n] = x[n] * above[n] * reciprocal(below[n]);
}

static inline Vector tanh(Vector x) {
    Vector one[] = {x};
    tanh(one);
    return one[0];
}

// The sigmoid of twice x, from tanh(x).
static inline Vector to_sigmoid(Vector tanh_of_x) { return 0.5f + 0.5f * tanh_of_x; }

// Storage and multiplication of numbers. A word is what one lane reads of an operand: one float, or two bfloat16.
struct Float {
    using Kept = float;
    using Word = float;
    static constexpr int PER_WORD = 1;

    static Kept narrow(float x) { return x; }

    static Vector multiply_add(Vector sum, Word a, const Word* b) { return sum + a * ::load(b); }

    static Vector load(const Kept* from, Index count) {
        if (count >= LANES) return ::load(from);
        Vector loaded{};
        std::memcpy(&loaded, from, count * sizeof(Kept));
        return loaded;
    }

    static void store(Kept* to, Vector value, Index count) {
        if (count >= LANES) ::store(to, value);
        else std::memcpy(to, &value, count * sizeof(Kept));
    }
};

#if defined(__AVX512BF16__)
struct Bfloat16 {
    using Kept = std::uint16_t;
    using Word = std::uint32_t;
    static constexpr int PER_WORD = 2;

    static Kept narrow(float x) {
        Kept narrowed[LANES];
        store(narrowed, x - Vector{}, LANES);
        return narrowed[0];
    }

    static Vector multiply_add(Vector sum, Word a, const Word* b) {
        return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(a), (__m512bh)_mm512_loadu_si512(b));
    }

    static Vector load(const Kept* from, Index count) {
        __m256i loaded = _mm256_setzero_si256();
        if (count >= LANES) loaded = _mm256_loadu_si256((const __m256i*)from);
        else std::memcpy(&loaded, from, count * sizeof(Kept));
        return (Vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(loaded), 16);
    }

    static void store(Kept* to, Vector value, Index count) {
        const __m256bh narrowed = _mm512_cvtneps_pbh((__m512)value);
        if (count >= LANES) std::memcpy(to, &narrowed, LANES * sizeof(Kept));
        else std::memcpy(to, &narrowed, count * sizeof(Kept));
    }
};
#endif

// ------------------------------------------------------------------------------------------------ matrix products

// sums (R rows, V vectors) += a (R rows, depth words) * b (V panels of (depth, LANES) words).
template <class Number, int R, int V>
static void tile(const typename Number::Word* a, Index row, const typename Number::Word* b, Index depth, float* sums,
                 Index sums_row) {
    Vector sum[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sum[r][v] = load(sums + r * sums_row + v * LANES);
    for (Index k = 0; k < depth; k++) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                sum[r][v] = Number::multiply_add(sum[r][v], a[r * row + k], b + (v * depth + k) * LANES);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) store(sums + r * sums_row + v * LANES, sum[r][v]);
}

template <class Number>
using Tile = void (*)(const typename Number::Word*, Index, const typename Number::Word*, Index, float*, Index);

constexpr Index panels_at_once(Index rows) { return std::clamp<Index>(REGISTERS / rows, 1, MOST_PANELS); }

// Tiles of 1 to TILE_ROWS rows and 1 to MOST_PANELS panels; none has more sums than there are registers.
template <class Number, std::size_t... AT>
constexpr std::array<Tile<Number>, sizeof...(AT)> all_tiles(std::index_sequence<AT...>) {
    return {tile<Number, AT / MOST_PANELS + 1,
                 std::min<Index>(AT % MOST_PANELS + 1, panels_at_once(AT / MOST_PANELS + 1))>...};
}

static constexpr Index rounded(Index count, Index multiple) { return (count + multiple - 1) / multiple * multiple; }

#if defined(MATRIX_UNIT)
// The matrix unit of Intel's processors (AMX) has eight registers of 16 rows of 64 bytes.
alignas(64) constexpr struct {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
} UNIT_REGISTERS;

// Registers 0 to 3 hold sums, 4 operands, and 5 to 7 weights.
class MatrixUnit {
  public:
    // The rows of operands and sums are padded to a multiple of the first, and the depth to a multiple of the second.
    static constexpr Index ROWS = 16, WORDS = 16;

    MatrixUnit() {
        if (there()) _tile_loadconfig(&UNIT_REGISTERS);
    }
    ~MatrixUnit() {
        if (there()) _tile_release();
    }

    // Linux lets a process use it on request.
    static bool there() {
        constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
        static const bool allowed = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
        return allowed;
    }

    // As `product`, below.
    static void product(Index rows, const std::uint32_t* a, Index row, const std::uint32_t* b, Index depth, Index panels,
                        float* sums, Index sums_row) {
        asm volatile("" ::: "memory");  // the compiler does not see what the instructions read
        for (Index panel = 0; panel < panels; panel += panels - panel < 4 ? 1 : 4)
            for (Index first = 0; first < rows; first += ROWS)
                (panels - panel < 4 ? tiles<1> : tiles<4>)(a + first * row, row, b + panel * depth * LANES, depth,
                                                           sums + first * sums_row + panel * LANES, sums_row);
        asm volatile("" ::: "memory");
    }

  private:
    template <int PANELS>
    static void tiles(const std::uint32_t* a, Index row, const std::uint32_t* b, Index depth, float* sums, Index sums_row) {
        const Index panel = depth * LANES;
        _tile_loadd(0, sums, sums_row * 4);
        if (PANELS > 1) {
            _tile_loadd(1, sums + LANES, sums_row * 4);
            _tile_loadd(2, sums + 2 * LANES, sums_row * 4);
            _tile_loadd(3, sums + 3 * LANES, sums_row * 4);
        }
        for (Index k = 0; k < depth; k += WORDS, b += WORDS * LANES) {
            _tile_loadd(4, a + k, row * 4);
            _tile_loadd(5, b, 64);
            _tile_dpbf16ps(0, 4, 5);
            if (PANELS > 1) {
                _tile_loadd(6, b + panel, 64);
                _tile_dpbf16ps(1, 4, 6);
                _tile_loadd(7, b + 2 * panel, 64);
                _tile_dpbf16ps(2, 4, 7);
                _tile_loadd(5, b + 3 * panel, 64);
                _tile_dpbf16ps(3, 4, 5);
            }
        }
        _tile_stored(0, sums, sums_row * 4);
        if (PANELS > 1) {
            _tile_stored(1, sums + LANES, sums_row * 4);
            _tile_stored(2, sums + 2 * LANES, sums_row * 4);
            _tile_stored(3, sums + 3 * LANES, sums_row * 4);
        }
    }
};
#endif

struct NoUnit {
    static constexpr Index ROWS = 1, WORDS = 1;
};

// The matrix unit for a type of numbers, if it has one.
#if defined(MATRIX_UNIT)
template <class Number>
using Unit = std::conditional_t<std::is_same_v<Number, Bfloat16>, MatrixUnit, NoUnit>;
#else
template <class Number>
using Unit = NoUnit;
#endif

// sums (rows, panels * LANES) += a (rows, depth words) * b (panels, depth, LANES words). A few panels at a time are
// multiplied by all rows, so each panel is read from memory once.
template <class Number>
static void product(Index rows, const typename Number::Word* a, Index row, const typename Number::Word* b, Index depth,
                    Index panels, float* sums, Index sums_row) {
#if defined(MATRIX_UNIT)
    if constexpr (std::is_same_v<Unit<Number>, MatrixUnit>)
        if (MatrixUnit::there()) return MatrixUnit::product(rows, a, row, b, depth, panels, sums, sums_row);
#endif
    const Index tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, tallest = (rows + tiles - 1) / tiles;
    const Index at_once = panels_at_once(tallest);
    static constexpr auto all = all_tiles<Number>(std::make_index_sequence<TILE_ROWS * MOST_PANELS>());
    for (Index panel = 0; panel < panels; panel += at_once) {
        const Index width = std::min(at_once, panels - panel);
        for (Index t = 0; t < tiles; t++) {
            const Index first = rows * t / tiles, height = rows * (t + 1) / tiles - first;
            all[(height - 1) * MOST_PANELS + width - 1](a + first * row, row, b + panel * depth * LANES, depth,
                                             sums + first * sums_row + panel * LANES, sums_row);
        }
    }
}

// ------------------------------------------------------------------------------------------------------- the layer

struct Layer {
    Index frames, batch, directions, hidden, threads;
    const Index* offsets;  // (frames + 1)
    const Index* order;    // (batch)
    const float* weights;  // (directions, gates * hidden, hidden)
    const float* bias;     // (directions, biases * hidden)
    void* gates;           // (rows, directions * gates * hidden): products of the inputs; then the activated gates
    void* kept;            // (rows, directions * hidden): cells of an LSTM, reset products of a GRU
    void* outputs;         // (frames, batch, directions * hidden), zero past the ends
    const void* d_outputs;
    void* d_gates;
    void* d_reset;   // (rows, directions * hidden): gradient of the reset products of a GRU
    void* previous;  // (rows, directions * hidden): outputs of the previous frames, in the direction's order
    float* d_bias;   // (directions, biases * hidden)
    Index training;

    Index utterances(Index t) const { return offsets[t + 1] - offsets[t]; }

    template <class Number>
    Index padded() const {
        return rounded(hidden, std::max<Index>(LANES, Unit<Number>::WORDS * Number::PER_WORD));
    }
};

template <class Kept>
struct Memory {
    struct Free {
        void operator()(Kept* memory) const { std::free(memory); }
    };
    std::unique_ptr<Kept[], Free> memory;

    explicit Memory(Index count) {
        const std::size_t bytes = (count * sizeof(Kept) + 63) / 64 * 64 + 64;
        memory.reset(static_cast<Kept*>(std::aligned_alloc(64, bytes)));
        std::memset(memory.get(), 0, bytes);
    }
    Kept* operator+(Index at) const { return memory.get() + at; }
    Kept& operator[](Index at) const { return memory[at]; }
};

// Rows of operands are padded by a cache line, so that their columns do not map to the same set of the cache.
template <class Number>
constexpr Index operand_row(Index width) {
    return width + 64 / sizeof(typename Number::Kept);
}

// Weights in panels: (units / LANES, gates) panels of (hidden, LANES) forward, and backward for each gate
// hidden / LANES panels of (units, LANES). Words hold neighbors along the depth.
template <class Number>
static void pack(const Layer& layer, int gates, Index direction, bool backwards, typename Number::Kept* packed) {
    const Index hidden = layer.hidden, padded = layer.padded<Number>(), panels = padded / LANES;
    const float* weights = layer.weights + direction * gates * hidden * hidden;
    for (Index gate = 0; gate < gates; gate++)
        for (Index panel = 0; panel < panels; panel++) {
            auto* to = packed + (backwards ? gate * panels + panel : panel * gates + gate) * padded * LANES;
            const Index lanes = std::min<Index>(LANES, hidden - panel * LANES);
            for (Index k = 0; k < hidden; k++)
                for (Index lane = 0; lane < lanes; lane++) {
                    const Index out = backwards ? k : panel * LANES + lane, in = backwards ? panel * LANES + lane : k;
                    to[(k / Number::PER_WORD * LANES + lane) * Number::PER_WORD + k % Number::PER_WORD] =
                        Number::narrow(weights[(gate * hidden + out) * hidden + in]);
                }
        }
}

// One frame of one utterance: from the sums of the recurrent products to the new state.
template <class Number, int CELL>
static inline void advance(const Layer& layer, const float* sums, typename Number::Kept* gates,
                           typename Number::Kept* kept, const float* last_bias, float* state, typename Number::Kept* operand,
                           typename Number::Kept* output) {
    const Index hidden = layer.hidden;
    for (Index unit = 0; unit < hidden; unit += LANES) {
        const Index count = hidden - unit;
        const auto sum = [&](int gate) { return load(sums + unit * GATES[CELL] + gate * LANES); };
        const auto input = [&](int gate) { return Number::load(gates + gate * hidden + unit, count); };
        const auto keep = [&](int gate, Vector value) {
            if (layer.training) Number::store(gates + gate * hidden + unit, value, count);
        };
        Vector h;
        if constexpr (CELL == RNN) {
            h = tanh(input(0) + sum(0));
            keep(0, h);
        } else if constexpr (CELL == LSTM) {
            Vector gate[] = {0.5f * (input(0) + sum(0)), 0.5f * (input(1) + sum(1)), input(2) + sum(2),
                             0.5f * (input(3) + sum(3))};
            tanh(gate);
            const Vector in = to_sigmoid(gate[0]), forget = to_sigmoid(gate[1]), candidate = gate[2];
            const Vector out = to_sigmoid(gate[3]);
            const Vector cell = forget * load(state + unit) + in * candidate;
            store(state + unit, cell);
            h = out * tanh(cell);
            keep(0, in), keep(1, forget), keep(2, candidate), keep(3, out);
            if (layer.training) Number::store(kept + unit, cell, count);
        } else if constexpr (CELL == GRU) {
            Vector gate[] = {0.5f * (input(0) + sum(0)), 0.5f * (input(1) + sum(1))};
            tanh(gate);
            const Vector reset = to_sigmoid(gate[0]), update = to_sigmoid(gate[1]);
            const Vector recurrent = sum(2);
            const Vector candidate = tanh(input(2) + Float::load(last_bias + unit, count) + reset * recurrent);
            h = candidate + update * (load(state + unit) - candidate);
            store(state + unit, h);
            keep(0, reset), keep(1, update), keep(2, candidate);
            if (layer.training) Number::store(kept + unit, recurrent, count);
        } else {
            const Vector update = to_sigmoid(tanh(0.5f * (input(0) + sum(0))));
            Vector candidate = input(1) + sum(1);
            candidate = candidate < 0.0f ? Vector{} : candidate;
            h = candidate + update * (load(state + unit) - candidate);
            store(state + unit, h);
            keep(0, update), keep(1, candidate);
        }
        Number::store(operand + unit, h, count);
        Number::store(output + unit, h, count);
    }
}

// One frame of one utterance, backward: `carry` is the gradient of this output from later frames, and becomes the part of
// the gradient that goes directly to the previous frame.
template <class Number, int CELL>
static inline void retreat(const Layer& layer, const typename Number::Kept* gates, const typename Number::Kept* kept,
                           const typename Number::Kept* kept_before, const typename Number::Kept* output_before,
                           const typename Number::Kept* d_output, float* carry, float* d_state,
                           typename Number::Kept* operand, typename Number::Kept* d_gates,
                           typename Number::Kept* d_reset, typename Number::Kept* previous, float* d_bias) {
    const Index hidden = layer.hidden, padded = layer.padded<Number>();
    for (Index unit = 0; unit < hidden; unit += LANES) {
        const Index count = hidden - unit;
        const auto gate = [&](int number) { return Number::load(gates + number * hidden + unit, count); };
        const auto add_bias = [&](int number, Vector gradient) {
            float* sum = d_bias + number * padded + unit;
            if (number < BIASES[CELL]) store(sum, load(sum) + gradient);
        };
        const auto give = [&](int number, Vector gradient) {
            Number::store(d_gates + number * hidden + unit, gradient, count);
            Number::store(operand + number * padded + unit, gradient, count);
            add_bias(number, gradient);
        };
        const Vector before = output_before ? Number::load(output_before + unit, count) : Vector{};
        const Vector dh = load(carry + unit) + Number::load(d_output + unit, count);
        Number::store(previous + unit, before, count);
        if constexpr (CELL == RNN) {
            const Vector h = gate(0);
            give(0, dh * (1.0f - h * h));
            store(carry + unit, Vector{});
        } else if constexpr (CELL == LSTM) {
            const Vector in = gate(0), forget = gate(1), candidate = gate(2), out = gate(3);
            const Vector squashed = tanh(Number::load(kept + unit, count));
            const Vector cell_before = kept_before ? Number::load(kept_before + unit, count) : Vector{};
            const Vector dc = load(d_state + unit) + dh * out * (1.0f - squashed * squashed);
            give(0, dc * candidate * in * (1.0f - in));
            give(1, dc * cell_before * forget * (1.0f - forget));
            give(2, dc * in * (1.0f - candidate * candidate));
            give(3, dh * squashed * out * (1.0f - out));
            store(d_state + unit, dc * forget);
            store(carry + unit, Vector{});
        } else if constexpr (CELL == GRU) {
            const Vector reset = gate(0), update = gate(1), candidate = gate(2);
            const Vector d_candidate = dh * (1.0f - update) * (1.0f - candidate * candidate);
            const Vector d_recurrent = d_candidate * reset;
            give(0, d_candidate * Number::load(kept + unit, count) * reset * (1.0f - reset));
            give(1, dh * (before - candidate) * update * (1.0f - update));
            Number::store(d_gates + 2 * hidden + unit, d_candidate, count);
            Number::store(operand + 2 * padded + unit, d_recurrent, count);
            Number::store(d_reset + unit, d_recurrent, count);
            add_bias(2, d_recurrent), add_bias(3, d_candidate);
            store(carry + unit, dh * update);
        } else {
            const Vector update = gate(0), candidate = gate(1);
            const Vector d_candidate = dh * (1.0f - update);
            give(0, dh * (before - candidate) * update * (1.0f - update));
            give(1, candidate > 0.0f ? d_candidate : Vector{});
            store(carry + unit, dh * update);
        }
    }
}

// Computes one direction of a block of utterances, from `first`, over all frames.
template <class Number, int CELL>
static void forward(const Layer& layer, const typename Number::Kept* packed, Index direction, Index first, Index rows) {
    using Kept = typename Number::Kept;
    using Word = typename Number::Word;
    constexpr Index gates = GATES[CELL];
    const Index hidden = layer.hidden, padded = layer.padded<Number>(), width = layer.directions * hidden;
    const Index row = operand_row<Number>(padded), sums_row = gates * padded + LANES;
    const Index room = rounded(rows, Unit<Number>::ROWS);
    const Memory<float> state(rows * padded), sums(room * sums_row), biases(sums_row);
    const Memory<Kept> operand(room * row);
    [[maybe_unused]] const Unit<Number> multiplying;
    const float* bias = BIASES[CELL] ? layer.bias + direction * BIASES[CELL] * hidden : nullptr;
    for (Index gate = 0; gate < std::min<Index>(gates, BIASES[CELL]); gate++)
        for (Index unit = 0; unit < hidden; unit++)
            biases[unit / LANES * LANES * gates + gate * LANES + unit % LANES] = bias[gate * hidden + unit];
    for (Index step = 0; step < layer.frames; step++) {
        const Index t = direction ? layer.frames - 1 - step : step;
        const Index active = std::min(layer.utterances(t) - first, rows);
        if (active <= 0) continue;
        for (Index r = 0; r < active; r++) std::memcpy(sums + r * sums_row, biases + 0, sums_row * sizeof(float));
        product<Number>(active, (const Word*)(operand + 0), row / Number::PER_WORD, (const Word*)packed,
                        padded / Number::PER_WORD, gates * padded / LANES, sums + 0, sums_row);
        for (Index r = 0; r < active; r++) {
            const Index at = layer.offsets[t] + first + r, outside = t * layer.batch + layer.order[first + r];
            advance<Number, CELL>(layer, sums + r * sums_row, (Kept*)layer.gates + (at * width + direction * hidden) * gates,
                                  (Kept*)layer.kept + at * width + direction * hidden,
                                  BIASES[CELL] > gates ? bias + gates * hidden : nullptr,
                                  state + r * padded, operand + r * row,
                                  (Kept*)layer.outputs + outside * width + direction * hidden);
        }
    }
}

template <class Number, int CELL>
static void backward(const Layer& layer, const typename Number::Kept* packed, Index direction, Index first, Index rows,
                     float* d_bias) {
    using Kept = typename Number::Kept;
    using Word = typename Number::Word;
    constexpr Index gates = GATES[CELL];
    const Index hidden = layer.hidden, padded = layer.padded<Number>(), width = layer.directions * hidden;
    const Index row = operand_row<Number>(gates * padded), depth = padded / Number::PER_WORD;
    const Index room = rounded(rows, Unit<Number>::ROWS);
    const Memory<float> carry(room * padded), d_state(rows * padded);
    const Memory<Kept> operand(room * row);
    [[maybe_unused]] const Unit<Number> multiplying;
    const auto* outputs = (const Kept*)layer.outputs + direction * hidden;
    const auto* kept = (const Kept*)layer.kept + direction * hidden;
    for (Index step = 0; step < layer.frames; step++) {
        const Index t = direction ? step : layer.frames - 1 - step;
        const Index before = direction ? t + 1 : t - 1;
        const Index active = std::min(layer.utterances(t) - first, rows);
        if (active <= 0) continue;
        const Index going_on = before < 0 || before == layer.frames ? 0 : layer.utterances(before) - first;
        for (Index r = 0; r < active; r++) {
            const Index at = layer.offsets[t] + first + r, in_batch = layer.order[first + r];
            const bool begins = r >= going_on;
            const Index inside = at * width + direction * hidden;
            retreat<Number, CELL>(
                layer, (const Kept*)layer.gates + inside * gates, kept + at * width,
                begins ? nullptr : kept + (layer.offsets[before] + first + r) * width,
                begins ? nullptr : outputs + (before * layer.batch + in_batch) * width,
                (const Kept*)layer.d_outputs + (t * layer.batch + in_batch) * width + direction * hidden,
                carry + r * padded, d_state + r * padded, operand + r * row, (Kept*)layer.d_gates + inside * gates,
                (Kept*)layer.d_reset + inside, (Kept*)layer.previous + inside, d_bias);
        }
        if (before < 0 || before == layer.frames) continue;
        // Gate by gate: that much of the operand stays in the first-level cache.
        for (Index gate = 0; gate < gates; gate++)
            product<Number>(active, (const Word*)(operand + gate * padded), row / Number::PER_WORD,
                            (const Word*)(packed + gate * padded * padded), depth, padded / LANES, carry + 0, padded);
    }
}

// -------------------------------------------------------------------------------------------------------- threads

// Blocks of each direction: few enough to fill the rows of a tile, enough to give every thread one.
template <class Number>
static Index blocks_of(const Layer& layer) {
    constexpr Index rows = std::max<Index>(3 * TILE_ROWS, 2 * Unit<Number>::ROWS);
    const Index full = (layer.batch + rows - 1) / rows, share = (layer.batch + 3) / 4;
    const Index wanted = (layer.threads + layer.directions - 1) / layer.directions;
    return std::max(full, std::min(wanted, share));
}

template <class Number, int CELL>
static void run(const Layer& layer, bool backwards) {
    const Index blocks = blocks_of<Number>(layer), padded = layer.padded<Number>(), size = GATES[CELL] * padded * padded;
    const Memory<typename Number::Kept> packed(layer.directions * size);
    in_parallel(layer.threads, layer.directions, [&](Index direction) {
        pack<Number>(layer, GATES[CELL], direction, backwards, packed + direction * size);
    });
    const Index items = layer.directions * blocks, of_item = BIASES[CELL] * padded;
    const Memory<float> d_bias(backwards ? items * of_item : 0);
    in_parallel(layer.threads, items, [&](Index item) {
        const Index direction = item % layer.directions, block = item / layer.directions;
        const Index first = layer.batch * block / blocks, rows = layer.batch * (block + 1) / blocks - first;
        const auto* weights = packed + direction * size;
        if (backwards) backward<Number, CELL>(layer, weights, direction, first, rows, d_bias + item * of_item);
        else forward<Number, CELL>(layer, weights, direction, first, rows);
    });
    if (!backwards) return;
    for (Index item = 0; item < items; item++)
        for (Index number = 0; number < BIASES[CELL]; number++) {
            float* sum = layer.d_bias + (item % layer.directions * BIASES[CELL] + number) * layer.hidden;
            const float* own = d_bias + (item * BIASES[CELL] + number) * padded;
            for (Index unit = 0; unit < layer.hidden; unit++) sum[unit] += own[unit];
        }
}

template <class Number>
static void run(const Layer& layer, Index cell, bool backwards) {
    switch (cell) {
        case RNN: return run<Number, RNN>(layer, backwards);
        case LSTM: return run<Number, LSTM>(layer, backwards);
        case GRU: return run<Number, GRU>(layer, backwards);
        default: return run<Number, LIGRU>(layer, backwards);
    }
}

extern "C" {

int recurrence_has_threads() { return GOMP_parallel != nullptr; }

int recurrence_has_bfloat16() {
#if defined(__AVX512BF16__)
    return 1;
#else
    return 0;
#endif
}

void recurrence_run(const Layer* layer, Index cell, int bfloat16, int backwards) {
#if defined(__AVX512BF16__)
    if (bfloat16) return run<Bfloat16>(*layer, cell, backwards);
#endif
    run<Float>(*layer, cell, backwards);
}
}
