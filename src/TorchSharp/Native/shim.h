// The types that cross the border to C#; Native.cs and Aten.cs declare the same.
#pragma once

#include <cstdint>

enum Tag : int32_t {
    TAG_NONE = 0,
    TAG_TENSOR = 1,
    TAG_INT = 2,
    TAG_DOUBLE = 3,
    TAG_BOOL = 4,
    TAG_INTS = 5,
    TAG_DOUBLES = 6,
    TAG_TENSORS = 7,
    TAG_OPTIONAL_TENSORS = 8,
    TAG_DEVICE = 9,
    TAG_STRING = 10,
    TAG_GENERATOR = 11,
    TAG_DEFAULT = 12,
};

enum Flag : int32_t { FLAG_CONTIGUOUS = 0, FLAG_REQUIRES_GRAD = 1, FLAG_LEAF = 2, FLAG_INFERENCE = 3 };

enum Seed : int32_t { SEED_ALL = 0, SEED_CUDA = 1 };

// A tagged argument or result: lists carry their length in count.
struct Value {
    int32_t tag;
    int32_t count;
    union {
        int64_t i;
        double d;
        void* p;
    };
};

struct TensorInfo {
    int8_t dtype;
    int8_t device_type;
    int8_t device_index;
    int8_t layout;
    int32_t dims;
    int32_t element_size;
    int32_t reserved;
    int64_t elements;
};
