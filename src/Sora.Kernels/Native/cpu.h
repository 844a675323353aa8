// What the code around the kernels shares: the choice of instructions, threads, scratch memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__x86_64__)
enum class InstructionSet { Portable, Avx2, Avx512 };

// The best that this processor has, within what ATEN_CPU_CAPABILITY (default, avx2, avx512) allows libtorch's kernels.
inline InstructionSet instruction_set() {
    const char* limit = std::getenv("ATEN_CPU_CAPABILITY");
    bool any = limit == nullptr || std::strcmp(limit, "avx512") == 0;
    if (any && __builtin_cpu_supports("avx512f")) return InstructionSet::Avx512;
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return (any || std::strcmp(limit, "default") != 0) && avx2 ? InstructionSet::Avx2 : InstructionSet::Portable;
}

#define CHOOSE_KERNEL(base)                                         \
    (instruction_set() == InstructionSet::Avx512 ? base##_avx512    \
     : instruction_set() == InstructionSet::Avx2 ? base##_avx2      \
                                                 : base##_portable)
#else
#define CHOOSE_KERNEL(base) base##_portable
#endif

// The threads of libtorch's OpenMP runtime, by pointers to its functions: a runtime of our own would have threads of its own,
// which fight with those for the processors.
struct Threads {
    void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags);  // GOMP_parallel
    int (*index)();                                                                       // omp_get_thread_num
    int (*count)();                                                                       // omp_get_num_threads
    int (*most)();                                                                        // at::get_num_threads
};

extern Threads threads;

// Calls body(begin, end) for equal shares of 0 to count, each on a thread of its own.
template <class Body>
void parallel_for(int64_t count, const Body& body) {
    if (count <= 0) return;
    int64_t most = threads.parallel == nullptr ? 1 : threads.most();
    if (most <= 1 || count == 1) return body(0, count);
    struct Work {
        const Body& body;
        int64_t count;
    } work{body, count};
    auto share = [](void* data) {
        Work& all = *static_cast<Work*>(data);
        int64_t shares = threads.count(), index = threads.index();
        int64_t size = (all.count + shares - 1) / shares, begin = index * size;
        int64_t end = begin + size < all.count ? begin + size : all.count;
        if (begin < end) all.body(begin, end);
    };
    threads.parallel(share, &work, static_cast<unsigned>(most < count ? most : count), 0);
}

// Aligned scratch memory; in huge pages where it is large. Without memory `data` is null.
struct Buffer {
    explicit Buffer(size_t floats) {
        constexpr size_t HugePage = 1 << 21;
        size_t bytes = floats * sizeof(float), page = bytes >= HugePage ? HugePage : 64;
        data = static_cast<float*>(std::aligned_alloc(page, (bytes + page - 1) / page * page));
#if defined(__linux__)
        if (data != nullptr && page == HugePage) madvise(data, bytes, MADV_HUGEPAGE);
#endif
    }
    ~Buffer() { std::free(data); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    float* data;
};

// Set by a thread that had no memory for its share; the call fails then.
using Failed = std::atomic<bool>;
