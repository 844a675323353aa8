// A C surface over libtorch, small because it does not wrap operators one by one: an ATen operator is looked up in
// the dispatcher by its schema name once and called boxed with tagged arguments. Autograd, broadcasting, dtype
// promotion and device dispatch all happen below the dispatcher, as for any other caller.
//
// Conventions: a tensor handle is an owned reference to its TensorImpl (null = undefined). Functions that can fail
// return a negative number or null and leave a message for shim_error() on the calling thread.

#include "shim.h"

#include "attention.h"
#include "convolution.h"

#include <dlfcn.h>

#include <memory>
#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

namespace {

thread_local std::string last_error;
thread_local std::vector<Value> last_results;

struct Operator {
    c10::OperatorHandle handle;
    std::vector<bool> takes_double;
};

// Runs a body; a C++ exception becomes a message and the given result.
template <class Result, class Body>
Result guarded(Result failed, Body body) noexcept {
    try {
        return body();
    } catch (const c10::Error& error) {
        last_error = error.what_without_backtrace();
    } catch (const std::exception& error) {
        last_error = error.what();
    } catch (...) {
        last_error = "unknown native exception";
    }
    return failed;
}

at::Tensor borrow(void* handle) {
    if (handle == nullptr) return {};
    return at::Tensor(c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::unsafe_reclaim_from_nonowning(
        static_cast<at::TensorImpl*>(handle)));
}

void* release(at::Tensor tensor) { return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr; }

c10::Device device_of(int64_t packed) {
    return {static_cast<c10::DeviceType>(packed >> 32), static_cast<c10::DeviceIndex>(static_cast<int32_t>(packed))};
}

at::Generator generator_of(void* handle) {
    return at::Generator(c10::intrusive_ptr<c10::GeneratorImpl>::unsafe_reclaim_from_nonowning(
        static_cast<c10::GeneratorImpl*>(handle)));
}

std::vector<at::Tensor> tensors_of(void* const* handles, int count) {
    std::vector<at::Tensor> tensors;
    tensors.reserve(count);
    for (int i = 0; i < count; i++) tensors.push_back(borrow(handles[i]));
    return tensors;
}

c10::IValue unpack(const Value& value, bool takes_double) {
    switch (value.tag) {
        case TAG_NONE: return {};
        case TAG_TENSOR: return borrow(value.p);
        case TAG_INT: return takes_double ? c10::IValue(static_cast<double>(value.i)) : c10::IValue(value.i);
        case TAG_DOUBLE: return value.d;
        case TAG_BOOL: return value.i != 0;
        case TAG_INTS: {
            auto data = static_cast<const int64_t*>(value.p);
            return c10::IntArrayRef(data, value.count);
        }
        case TAG_DOUBLES: {
            auto data = static_cast<const double*>(value.p);
            return c10::ArrayRef<double>(data, value.count);
        }
        case TAG_TENSORS: {
            c10::List<at::Tensor> list;
            list.reserve(value.count);
            for (int i = 0; i < value.count; i++) list.push_back(borrow(static_cast<void* const*>(value.p)[i]));
            return list;
        }
        case TAG_OPTIONAL_TENSORS: {
            c10::List<c10::optional<at::Tensor>> list;
            list.reserve(value.count);
            for (int i = 0; i < value.count; i++) {
                auto handle = static_cast<void* const*>(value.p)[i];
                list.push_back(handle == nullptr ? c10::optional<at::Tensor>() : borrow(handle));
            }
            return list;
        }
        case TAG_DEVICE: return device_of(value.i);
        case TAG_STRING: return std::string(static_cast<const char*>(value.p), value.count);
        case TAG_GENERATOR: return generator_of(value.p);
        default: TORCH_CHECK(false, "unknown argument tag ", value.tag);
    }
}

void pack(const c10::IValue& value) {
    Value out{};
    if (value.isTensor()) {
        out.tag = TAG_TENSOR;
        out.p = release(value.toTensor());
    } else if (value.isTensorList()) {
        for (const at::Tensor& tensor : value.toTensorList()) pack(tensor);
        return;
    } else if (value.isDouble()) {
        out.tag = TAG_DOUBLE;
        out.d = value.toDouble();
    } else if (value.isBool()) {
        out.tag = TAG_BOOL;
        out.i = value.toBool();
    } else if (value.isInt()) {
        out.tag = TAG_INT;
        out.i = value.toInt();
    } else {
        TORCH_CHECK(false, "unsupported result of type ", value.tagKind());
    }
    last_results.push_back(out);
}

// OpenBLAS built over pthreads keeps its own count of threads, which at::set_num_threads does not reach. Built over
// OpenMP it asks OpenMP, and must not be told: there its call gives buffers of products back without a lock, so that of
// two threads that tell it at once one may give back again what the other has taken anew, and two products share it.
void set_blas_threads(int count) {
    constexpr int Pthreads = 1;
    static auto kind = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
    static auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
    if (kind != nullptr && set != nullptr && kind() == Pthreads) set(count);
}

// While it lives, results on this thread below float's normal range (1.2e-38) are zero. Gradients where an activation is flat,
// as GELU far below zero, are such numbers by the thousand, none of which moves a weight, and the processor takes a hundred times
// as long for each: products of such matrices took five times as long, a whole update of a transformer 1.4 times.
struct WithoutSubnormals {
    WithoutSubnormals() { at::globalContext().setFlushDenormal(true); }
    ~WithoutSubnormals() { at::globalContext().setFlushDenormal(false); }
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

const char* shim_error() { return last_error.c_str(); }

void* shim_operator(const char* name, const char* overload) {
    return guarded<void*>(nullptr, [&]() -> void* {
        auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
        auto op = std::make_unique<Operator>(Operator{handle, {}});
        for (const auto& argument : handle.schema().arguments()) {
            auto type = argument.type();
            if (auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
            op->takes_double.push_back(type->kind() == c10::TypeKind::FloatType);
        }
        return op.release();
    });
}

int shim_call(void* handle, const Value* arguments, int count, const Value** results) {
    return guarded(-1, [&] {
        auto op = static_cast<const Operator*>(handle);
        const auto& formal = op->handle.schema().arguments();
        TORCH_CHECK(static_cast<size_t>(count) <= formal.size(), "too many arguments for ", op->handle.operator_name());
        torch::jit::Stack stack;
        stack.reserve(formal.size());
        for (size_t i = 0; i < formal.size(); i++) {
            if (i < static_cast<size_t>(count) && arguments[i].tag != TAG_DEFAULT) {
                stack.push_back(unpack(arguments[i], op->takes_double[i]));
            } else {
                const auto& value = formal[i].default_value();
                TORCH_CHECK(value.has_value(), op->handle.operator_name(), " misses argument ", formal[i].name());
                stack.push_back(*value);
            }
        }
        op->handle.callBoxed(stack);
        last_results.clear();
        for (const auto& value : stack) pack(value);
        *results = last_results.data();
        return static_cast<int>(last_results.size());
    });
}

void shim_free(void* tensor) {
    c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::reclaim(static_cast<at::TensorImpl*>(tensor));
}

void* shim_share(void* tensor) { return release(borrow(tensor)); }

void shim_info(void* tensor, TensorInfo* info) {
    auto impl = static_cast<at::TensorImpl*>(tensor);
    info->dtype = static_cast<int8_t>(c10::typeMetaToScalarType(impl->dtype()));
    info->device_type = static_cast<int8_t>(impl->device().type());
    info->device_index = impl->device().index();
    info->layout = static_cast<int8_t>(impl->layout());
    info->dims = static_cast<int32_t>(impl->dim());
    info->element_size = static_cast<int32_t>(impl->itemsize());
    info->elements = impl->numel();
}

void shim_sizes(void* tensor, int64_t* sizes) {
    auto source = static_cast<at::TensorImpl*>(tensor)->sizes();
    std::copy(source.begin(), source.end(), sizes);
}

int shim_strides(void* tensor, int64_t* strides) {
    return guarded(-1, [&] {
        auto source = static_cast<at::TensorImpl*>(tensor)->strides();
        std::copy(source.begin(), source.end(), strides);
        return 0;
    });
}

int shim_flag(void* tensor, int flag) {
    return guarded(-1, [&]() -> int {
        at::Tensor self = borrow(tensor);
        switch (flag) {
            case FLAG_CONTIGUOUS: return self.is_contiguous();
            case FLAG_REQUIRES_GRAD: return self.requires_grad();
            case FLAG_LEAF: return self.is_leaf();
            case FLAG_INFERENCE: return self.is_inference();
            default: TORCH_CHECK(false, "unknown flag ", flag);
        }
    });
}

int64_t shim_storage_offset(void* tensor) { return static_cast<at::TensorImpl*>(tensor)->storage_offset(); }

void* shim_data(void* tensor) {
    return guarded<void*>(nullptr, [&] { return borrow(tensor).data_ptr(); });
}

void* shim_from_blob(void* data, const int64_t* sizes, int dims, int dtype, int64_t device, void (*free)(void*),
                     void* context) {
    return guarded<void*>(nullptr, [&] {
        auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype)).device(device_of(device));
        return release(at::from_blob(data, {sizes, static_cast<size_t>(dims)}, [=](void*) { free(context); }, options));
    });
}

int shim_set_requires_grad(void* tensor, int value) {
    return guarded(-1, [&] {
        borrow(tensor).set_requires_grad(value != 0);
        return 0;
    });
}

int shim_grad(void* tensor, void** grad) {
    return guarded(-1, [&] {
        *grad = release(borrow(tensor).grad());
        return 0;
    });
}

int shim_set_grad(void* tensor, void* grad) {
    return guarded(-1, [&] {
        borrow(tensor).mutable_grad() = borrow(grad);
        return 0;
    });
}

int shim_retain_grad(void* tensor) {
    return guarded(-1, [&] {
        borrow(tensor).retain_grad();
        return 0;
    });
}

int shim_backward(void* const* tensors, int count, void* const* grads, int grad_count, int retain_graph,
                  int create_graph, void* const* inputs, int input_count) {
    return guarded(-1, [&] {
        WithoutSubnormals quick;
        torch::autograd::backward(tensors_of(tensors, count), tensors_of(grads, grad_count), retain_graph != 0,
                                  create_graph != 0, tensors_of(inputs, input_count));
        return 0;
    });
}

int shim_autograd_grad(void* const* outputs, int count, void* const* inputs, int input_count, void* const* grads,
                       int grad_count, int retain_graph, int create_graph, int allow_unused, void** results) {
    return guarded(-1, [&] {
        WithoutSubnormals quick;
        auto found = torch::autograd::grad(tensors_of(outputs, count), tensors_of(inputs, input_count),
                                           tensors_of(grads, grad_count), retain_graph != 0, create_graph != 0,
                                           allow_unused != 0);
        for (size_t i = 0; i < found.size(); i++) results[i] = release(found[i]);
        return static_cast<int>(found.size());
    });
}

// The attention kernel's result, or undefined where it does not apply.
int shim_attention(void* query, void* key, void* value, void** result) {
    return guarded(-1, [&] {
        at::Tensor q = borrow(query), k = borrow(key), v = borrow(value);
        *result = attention_applies(q, k, v) ? release(attention(q, k, v)) : nullptr;
        return 0;
    });
}

// The convolution kernel's result for unit strides, or undefined where it does not apply.
int shim_convolution(void* input, void* weight, void* bias, const int64_t* padding, int dims, void** result) {
    return guarded(-1, [&] {
        at::Tensor x = borrow(input), w = borrow(weight), b = borrow(bias);
        at::IntArrayRef around(padding, static_cast<size_t>(dims));
        *result = convolution_applies(x, w, b, around) ? release(convolution(x, w, b, around)) : nullptr;
        return 0;
    });
}

int shim_grad_mode() { return c10::GradMode::is_enabled(); }
void shim_set_grad_mode(int enabled) { c10::GradMode::set_enabled(enabled != 0); }
int shim_inference_mode() { return c10::InferenceMode::is_enabled(); }
void* shim_enter_inference_mode(int enabled) { return new c10::InferenceMode(enabled != 0); }
void shim_leave_inference_mode(void* guard) { delete static_cast<c10::InferenceMode*>(guard); }

int shim_num_threads() { return at::get_num_threads(); }
int shim_num_interop_threads() { return at::get_num_interop_threads(); }

int shim_set_num_threads(int count) {
    return guarded(-1, [&] {
        at::set_num_threads(count);
        set_blas_threads(count);
        return 0;
    });
}

int shim_set_num_interop_threads(int count) {
    return guarded(-1, [&] {
        at::set_num_interop_threads(count);
        return 0;
    });
}

int shim_cuda_device_count() {
    return guarded(-1, [] { return static_cast<int>(at::detail::getCUDAHooks().getNumGPUs()); });
}

int shim_has_cudnn() {
    return guarded(-1, [] { return static_cast<int>(at::detail::getCUDAHooks().hasCuDNN()); });
}

int shim_cuda_synchronize(int device) {
    return guarded(-1, [&] {
        at::detail::getCUDAHooks().deviceSynchronize(device);
        return 0;
    });
}

int shim_tf32(int which, int value) {
    auto& context = at::globalContext();
    if (which == 0) {
        if (value >= 0) context.setAllowTF32CuBLAS(value != 0);
        return context.allowTF32CuBLAS();
    }
    if (value >= 0) context.setAllowTF32CuDNN(value != 0);
    return context.allowTF32CuDNN();
}

int shim_manual_seed(int64_t seed, int where) {
    return guarded(-1, [&] {
        if (where == SEED_ALL) {
            at::manual_seed(static_cast<uint64_t>(seed));
            return 0;
        }
        auto& context = at::globalContext();
        int devices = static_cast<int>(at::detail::getCUDAHooks().getNumGPUs());
        for (int i = 0; i < devices; i++) {
            auto generator = context.defaultGenerator(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(i)));
            std::lock_guard<std::mutex> lock(generator.mutex());
            generator.set_current_seed(static_cast<uint64_t>(seed));
        }
        return 0;
    });
}

void* shim_generator(uint64_t seed, int64_t device) {
    return guarded<void*>(nullptr, [&]() -> void* {
        auto where = device_of(device);
        TORCH_CHECK(where.is_cpu(), "only CPU generators can be made; the default generator of a CUDA device is seeded "
                                    "with cuda.manual_seed");
        return at::detail::createCPUGenerator(seed).unsafeReleaseGeneratorImpl();
    });
}

void* shim_default_generator() {
    return guarded<void*>(nullptr, []() -> void* {
        at::Generator generator = at::detail::getDefaultCPUGenerator();
        return generator.unsafeReleaseGeneratorImpl();
    });
}

void shim_generator_free(void* generator) {
    c10::intrusive_ptr<c10::GeneratorImpl>::reclaim(static_cast<c10::GeneratorImpl*>(generator));
}

int shim_generator_seed(void* generator, int action, int64_t* seed) {
    return guarded(-1, [&] {
        at::Generator self = generator_of(generator);
        std::lock_guard<std::mutex> lock(self.mutex());
        if (action == 0) *seed = static_cast<int64_t>(self.current_seed());
        if (action == 1) self.set_current_seed(static_cast<uint64_t>(*seed));
        if (action == 2) *seed = static_cast<int64_t>(self.seed());
        return 0;
    });
}

void* shim_generator_state(void* generator) {
    return guarded<void*>(nullptr, [&] { return release(generator_of(generator).get_state()); });
}

int shim_generator_set_state(void* generator, void* state) {
    return guarded(-1, [&] {
        generator_of(generator).set_state(borrow(state));
        return 0;
    });
}

}  // extern "C"
#pragma GCC visibility pop
