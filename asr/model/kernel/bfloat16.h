// Conversion of single numbers to and from float, for float and bfloat16 alike.

#pragma once

#include <cstdint>
#include <cstring>

static inline float widen(float x) { return x; }

static inline float widen(std::uint16_t x) {
    const std::uint32_t bits = std::uint32_t(x) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static inline void narrow(float x, float& to) { to = x; }

// Rounds to the nearest bfloat16, ties to even.
static inline void narrow(float x, std::uint16_t& to) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    to = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
