#include "blake3.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are read as the processor has them, which must be little-endian"
#endif

enum { LEAF = 1024, BLOCK = 64, CV = 32, MOST_LEAVES = 256 };
enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8, KEYED_HASH = 16 };

static const uint32_t IV[4] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A};

// Which message word each round takes where: round 0 in order, each next one permuted.
static const uint8_t SCHEDULE[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

// One word, or one vector of words with a leaf in each lane: the arithmetic is the same.
#define ROTATE(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define MIX(v, a, b, c, d, x, y)                                                                   \
    do {                                                                                           \
        v[a] = v[a] + v[b] + (x);                                                                  \
        v[d] = ROTATE(v[d] ^ v[a], 16);                                                            \
        v[c] = v[c] + v[d];                                                                        \
        v[b] = ROTATE(v[b] ^ v[c], 12);                                                            \
        v[a] = v[a] + v[b] + (y);                                                                  \
        v[d] = ROTATE(v[d] ^ v[a], 8);                                                             \
        v[c] = v[c] + v[d];                                                                        \
        v[b] = ROTATE(v[b] ^ v[c], 7);                                                             \
    } while (0)
#define ROUND(v, m, r)                                                                             \
    do {                                                                                           \
        const uint8_t *s = SCHEDULE[r];                                                            \
        MIX(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);                                                     \
        MIX(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);                                                     \
        MIX(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);                                                    \
        MIX(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);                                                    \
        MIX(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);                                                    \
        MIX(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);                                                  \
        MIX(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);                                                   \
        MIX(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);                                                   \
    } while (0)
#define ALL_ROUNDS(v, m)                                                                           \
    do {                                                                                           \
        ROUND(v, m, 0);                                                                            \
        ROUND(v, m, 1);                                                                            \
        ROUND(v, m, 2);                                                                            \
        ROUND(v, m, 3);                                                                            \
        ROUND(v, m, 4);                                                                            \
        ROUND(v, m, 5);                                                                            \
        ROUND(v, m, 6);                                                                            \
    } while (0)

static void compress(uint32_t cv[8], const uint8_t block[BLOCK], uint32_t length, uint64_t counter,
                     uint32_t flags) {
    uint32_t m[16], v[16];
    memcpy(m, block, BLOCK);
    memcpy(v, cv, CV);
    memcpy(v + 8, IV, sizeof IV);
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = length;
    v[15] = flags;
    ALL_ROUNDS(v, m);
    for (int i = 0; i < 8; i++) cv[i] = v[i] ^ v[i + 8];
}

// One leaf of at most 1,024 bytes; `last` goes to its last block, for a leaf that is the root.
static void leaf(const uint32_t key[8], const uint8_t *input, size_t length, uint64_t counter,
                 uint32_t last, uint8_t output[CV]) {
    uint32_t cv[8];
    memcpy(cv, key, CV);
    uint32_t start = CHUNK_START;
    while (length > BLOCK) {
        compress(cv, input, BLOCK, counter, KEYED_HASH | start);
        input += BLOCK;
        length -= BLOCK;
        start = 0;
    }
    uint8_t block[BLOCK] = {0};
    if (length) memcpy(block, input, length);
    compress(cv, block, (uint32_t)length, counter, KEYED_HASH | start | CHUNK_END | last);
    memcpy(output, cv, CV);
}

static void parent(const uint32_t key[8], const uint8_t children[BLOCK], uint32_t last,
                   uint8_t output[CV]) {
    uint32_t cv[8];
    memcpy(cv, key, CV);
    compress(cv, children, BLOCK, 0, KEYED_HASH | PARENT | last);
    memcpy(output, cv, CV);
}

// Hashes as many inputs as it has lanes, `stride` bytes apart and `blocks` long, side by side.
typedef void (*kernel)(const uint32_t key[8], const uint8_t *input, size_t stride, int blocks,
                       uint64_t counter, uint32_t step, uint32_t flags, uint32_t first,
                       uint32_t last, uint8_t *output);

#define LOW4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW8(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH8(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW16(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH16(a, b)                                                                               \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

// A square of words is turned by weaving its upper half into its lower, log2(side) times.
#define DEFINE_KERNEL(N, TARGET)                                                                   \
    typedef uint32_t words##N __attribute__((vector_size(N * 4)));                                 \
    typedef uint32_t loose##N __attribute__((vector_size(N * 4), aligned(4)));                     \
    TARGET static void turn##N(words##N *rows) {                                                   \
        words##N woven[N];                                                                         \
        for (int size = 1; size < N; size *= 2) {                                                  \
            for (int i = 0; i < N / 2; i++) {                                                      \
                woven[2 * i] = LOW##N(rows[i], rows[i + N / 2]);                                   \
                woven[2 * i + 1] = HIGH##N(rows[i], rows[i + N / 2]);                              \
            }                                                                                      \
            for (int i = 0; i < N; i++) rows[i] = woven[i];                                        \
        }                                                                                          \
    }                                                                                              \
    TARGET static void kernel##N(                                                                  \
        const uint32_t key[8], const uint8_t *input, size_t stride, int blocks, uint64_t counter,  \
        uint32_t step, uint32_t flags, uint32_t first, uint32_t last, uint8_t *output) {           \
        words##N cv[8], low, high, m[16], v[16];                                                   \
        for (int i = 0; i < 8; i++) cv[i] = (words##N){0} + key[i];                                \
        for (int lane = 0; lane < N; lane++) {                                                     \
            uint64_t at = counter + (uint64_t)step * (uint64_t)lane;                               \
            low[lane] = (uint32_t)at;                                                              \
            high[lane] = (uint32_t)(at >> 32);                                                     \
        }                                                                                          \
        for (int block = 0; block < blocks; block++) {                                             \
            for (int part = 0; part < 16 / N; part++) {                                            \
                for (int lane = 0; lane < N; lane++)                                               \
                    m[part * N + lane] =                                                           \
                        *(const loose##N *)(input + (size_t)lane * stride +                        \
                                            (size_t)block * BLOCK + (size_t)part * N * 4);         \
                turn##N(m + part * N);                                                             \
            }                                                                                      \
            uint32_t marks =                                                                       \
                flags | (block == 0 ? first : 0) | (block == blocks - 1 ? last : 0);               \
            for (int i = 0; i < 8; i++) v[i] = cv[i];                                              \
            for (int i = 0; i < 4; i++) v[8 + i] = (words##N){0} + IV[i];                          \
            v[12] = low;                                                                           \
            v[13] = high;                                                                          \
            v[14] = (words##N){0} + (uint32_t)BLOCK;                                               \
            v[15] = (words##N){0} + marks;                                                         \
            ALL_ROUNDS(v, m);                                                                      \
            for (int i = 0; i < 8; i++) cv[i] = v[i] ^ v[i + 8];                                   \
        }                                                                                          \
        for (int lane = 0; lane < N; lane++) {                                                     \
            uint32_t words[8];                                                                     \
            for (int i = 0; i < 8; i++) words[i] = cv[i][lane];                                    \
            memcpy(output + lane * CV, words, CV);                                                 \
        }                                                                                          \
    }

DEFINE_KERNEL(4, )
#if defined(__x86_64__)
DEFINE_KERNEL(8, __attribute__((target("avx2"))))
DEFINE_KERNEL(16, __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq"))))
#endif

static int widest(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return 16;
    if (__builtin_cpu_supports("avx2")) return 8;
#endif
    return 4;
}

// As many whole inputs as fill the widest kernels; returns how many it did.
static size_t side_by_side(int lanes, const uint32_t key[8], const uint8_t *input, size_t stride,
                           size_t count, int blocks, uint64_t counter, uint32_t step,
                           uint32_t flags, uint32_t first, uint32_t last, uint8_t *output) {
    size_t done = 0;
    for (int width = lanes; width >= 4; width /= 2) {
        kernel run = kernel4;
#if defined(__x86_64__)
        if (width == 16) run = kernel16;
        if (width == 8) run = kernel8;
#endif
        while (count - done >= (size_t)width) {
            run(key, input + done * stride, stride, blocks, counter + step * (uint64_t)done, step,
                flags, first, last, output + done * CV);
            done += (size_t)width;
        }
    }
    return done;
}

// The chaining value of 2 to 256 leaves whose last may be short; `last` marks the topmost parent.
static void subtree(int lanes, const uint32_t key[8], const uint8_t *input, size_t length,
                    uint64_t counter, uint32_t last, uint8_t output[CV]) {
    uint8_t values[MOST_LEAVES * CV];
    size_t whole = length / LEAF, rest = length % LEAF;
    size_t done = side_by_side(lanes, key, input, LEAF, whole, LEAF / BLOCK, counter, 1, KEYED_HASH,
                               CHUNK_START, CHUNK_END, values);
    for (; done < whole; done++)
        leaf(key, input + done * LEAF, LEAF, counter + done, 0, values + done * CV);
    if (rest) {
        leaf(key, input + whole * LEAF, rest, counter + whole, 0, values + whole * CV);
        whole++;
    }
    // Level by level; one without a partner goes up as it is.
    while (whole > 2) {
        size_t pairs = whole / 2;
        uint8_t above[MOST_LEAVES / 2 * CV];
        size_t joined = side_by_side(lanes, key, values, BLOCK, pairs, 1, 0, 0,
                                     KEYED_HASH | PARENT, 0, 0, above);
        for (; joined < pairs; joined++)
            parent(key, values + joined * BLOCK, 0, above + joined * CV);
        if (whole % 2) memcpy(above + pairs * CV, values + (whole - 1) * CV, CV);
        whole = pairs + whole % 2;
        memcpy(values, above, whole * CV);
    }
    parent(key, values, last, output);
}

static void tree(int lanes, const uint32_t key[8], const uint8_t *input, size_t length,
                 uint64_t counter, uint32_t last, uint8_t output[CV]) {
    if (length <= LEAF) {
        leaf(key, input, length, counter, last, output);
    } else if (length <= (size_t)MOST_LEAVES * LEAF) {
        subtree(lanes, key, input, length, counter, last, output);
    } else {
        // The left side is the largest power of two of leaves that leaves something to the right.
        size_t left = (size_t)MOST_LEAVES * LEAF;
        while (left * 2 < length) left *= 2;
        uint8_t children[BLOCK];
        tree(lanes, key, input, left, counter, 0, children);
        tree(lanes, key, input + left, length - left, counter + left / LEAF, 0, children + CV);
        parent(key, children, last, output);
    }
}

int dr_blake3_keyed_lanes(int lanes, const uint8_t key[32], const uint8_t *input, size_t length,
                          uint8_t output[32]) {
    if (lanes > widest()) return 0;
    uint32_t words[8];
    memcpy(words, key, CV);
    tree(lanes, words, input, length, 0, ROOT, output);
    return 1;
}

void dr_blake3_keyed(const uint8_t key[32], const uint8_t *input, size_t length,
                     uint8_t output[32]) {
    dr_blake3_keyed_lanes(widest(), key, input, length, output);
}
