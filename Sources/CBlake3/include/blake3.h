// BLAKE3's keyed mode, after the specification by O'Connor, Aumasson, Neves and Wilcox-O'Hearn.
// In C because Swift cannot compile one function for several kinds of processor: see docs/decisions.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The keyed hash of `length` bytes at `input`: 32 bytes to `output`. Uses what the processor has.
void dr_blake3_keyed(const uint8_t key[32], const uint8_t *input, size_t length, uint8_t output[32]);

/// The same with at most `lanes` (1, 4, 8, 16) leaves at once, so that tests reach every kernel.
/// Returns 0 and does nothing when this processor has no such kernel.
int dr_blake3_keyed_lanes(int lanes, const uint8_t key[32], const uint8_t *input, size_t length,
                          uint8_t output[32]);
