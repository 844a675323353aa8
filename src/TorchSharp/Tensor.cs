using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A tensor of libtorch; its handle is an owned reference.</summary>
    [SuppressMessage("Design", "CA1065", Justification = "As in TorchSharp")]
    public partial class Tensor : IDisposable
    {
        private static long totalCount;
        private static long peakCount;

        private nint handle;

        internal Tensor(nint handle)
        {
            this.handle = handle;
            var total = Interlocked.Increment(ref totalCount);
            if (total > peakCount) peakCount = total;
            OwningDisposeScope = DisposeScopeManager.OfThread.Register(this);
        }

        ~Tensor() => Dispose(false);

        /// <summary>Living tensor objects, on all threads.</summary>
        public static long TotalCount => totalCount;

        public static long PeakCount => peakCount;

        internal DisposeScope? OwningDisposeScope { get; set; }

        public nint Handle => handle != 0 ? handle : throw new InvalidOperationException("Tensor invalid -- empty handle.");

        public bool IsInvalid => handle == 0;

        public string? name { get; set; }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (handle == 0) return;
            // The finalizer's thread must not touch a scope that another thread uses.
            if (disposing) OwningDisposeScope?.MarkAsDisposed(this);
            Interlocked.Decrement(ref totalCount);
            Native.shim_free(handle);
            handle = 0;
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (OwningDisposeScope is null) other?.Attach(this);
            else OwningDisposeScope.MoveToOther(other, this);
            return this;
        }

        private TensorInfo Info
        {
            get
            {
                Native.shim_info(Handle, out var info);
                GC.KeepAlive(this);
                return info;
            }
        }

        public ScalarType dtype => (ScalarType)Info.Dtype;

        public DeviceType device_type => (DeviceType)Info.DeviceType;

        public int device_index => Info.DeviceIndex;

        public Device device
        {
            get
            {
                var info = Info;
                return new Device((DeviceType)info.DeviceType, info.DeviceIndex);
            }
        }

        public bool is_cpu() => device_type == DeviceType.CPU;

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_meta => device_type == DeviceType.META;

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_integral() => torch.is_integral(dtype);

        public long Dimensions => Info.Dims;

        public long dim() => Info.Dims;

        public long ndim => Info.Dims;

        public long NumberOfElements => Info.Elements;

        public long numel() => Info.Elements;

        public long ElementSize => Info.ElementSize;

        public long element_size() => Info.ElementSize;

        public long[] shape => size();

        public unsafe long[] size()
        {
            var sizes = new long[Info.Dims];
            fixed (long* p = sizes) Native.shim_sizes(Handle, p);
            GC.KeepAlive(this);
            return sizes;
        }

        public long size(int dim) => size()[Wrap(dim)];

        public unsafe long[] stride()
        {
            var strides = new long[Info.Dims];
            fixed (long* p = strides) Native.Check(Native.shim_strides(Handle, p));
            GC.KeepAlive(this);
            return strides;
        }

        public long stride(int dim) => stride()[Wrap(dim)];

        public long storage_offset()
        {
            var offset = Native.shim_storage_offset(Handle);
            GC.KeepAlive(this);
            return offset;
        }

        public bool is_contiguous() => Is(Flag.Contiguous);

        public bool is_leaf => Is(Flag.Leaf);

        public bool is_nonzero() => Aten.CallBool("is_nonzero", this);

        public bool requires_grad
        {
            get => Is(Flag.RequiresGrad);
            set
            {
                Native.Check(Native.shim_set_requires_grad(Handle, value ? 1 : 0));
                GC.KeepAlive(this);
            }
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public Tensor with_requires_grad(bool requires_grad = true) => requires_grad_(requires_grad);

        public Tensor? grad
        {
            get
            {
                Native.Check(Native.shim_grad(Handle, out var found));
                GC.KeepAlive(this);
                return found == 0 ? null : new Tensor(found);
            }
            set
            {
                Native.Check(Native.shim_set_grad(Handle, value?.Handle ?? 0));
                GC.KeepAlive(this);
                GC.KeepAlive(value);
            }
        }

        public void retain_grad()
        {
            Native.Check(Native.shim_retain_grad(Handle));
            GC.KeepAlive(this);
        }

        public void backward() => autograd.backward([this]);

        public void backward(IList<Tensor>? grad_tensors = null, bool retain_graph = false, bool create_graph = false,
            IList<Tensor>? inputs = null) =>
            autograd.backward([this], grad_tensors, retain_graph, create_graph, inputs);

        /// <summary>The elements of a contiguous tensor on the CPU, in place.</summary>
        public unsafe Span<byte> bytes
        {
            get
            {
                var size = NumberOfElements * ElementSize;
                if (!is_contiguous()) throw new InvalidOperationException("Bytes() called on non-contiguous tensor.");
                if (size > int.MaxValue) throw new ArgumentException("Span only supports up to int.MaxValue elements.");
                return new Span<byte>((void*)DataPointer(), (int)size);
            }
            set
            {
                if (!is_contiguous()) throw new InvalidOperationException("SetBytes() called on non-contiguous tensor.");
                if (NumberOfElements * ElementSize != value.Length)
                    throw new ArgumentException("Mismatched data sizes in SetBytes().");
                value.CopyTo(new Span<byte>((void*)DataPointer(), value.Length));
                GC.KeepAlive(this);
            }
        }

        /// <summary>Typed access to the elements; a tensor on another device is copied first.</summary>
        public TensorAccessor<T> data<T>() where T : unmanaged
        {
            ValidateType(typeof(T));
            return new TensorAccessor<T>(is_cpu() ? this : cpu());
        }

        public T item<T>() where T : unmanaged
        {
            if (NumberOfElements != 1) throw new ArgumentException("Number of elements in the tensor must be 1");
            return data<T>()[0];
        }

        public Scalar ToScalar() => new(Aten.CallValue("_local_scalar_dense", this));

        public Tensor cpu() => to(DeviceType.CPU);

        public Tensor cuda(Device? device = null, bool non_blocking = false)
        {
            if (device is not null && device.type != DeviceType.CUDA)
                throw new ArgumentException("Not a CUDA device.", nameof(device));
            return to(DeviceType.CUDA, device?.index ?? -1, non_blocking: non_blocking);
        }

        public Tensor to(Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false)
        {
            InitializeDevice(device);
            return After(disposeAfter, Aten.Call("to.dtype_layout", this, dtype, Arg.None, Settled(device), Arg.None, non_blocking, copy));
        }

        public Tensor to(DeviceType deviceType, int deviceIndex = -1, bool copy = false, bool disposeAfter = false,
            bool non_blocking = false) => to(new Device(deviceType, deviceIndex), copy, disposeAfter, non_blocking);

        public Tensor to(string device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to(new Device(device), copy, disposeAfter, non_blocking);

        public Tensor to(ScalarType type, Device device, bool copy = false, bool disposeAfter = false,
            bool non_blocking = false) =>
            After(disposeAfter, Aten.Call("to.dtype_layout", this, type, Arg.None, Settled(InitializeDevice(device)), Arg.None,
                non_blocking, copy));

        public Tensor to(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to_type(type, copy, disposeAfter, non_blocking);

        public Tensor to(Tensor other, bool non_blocking = false) =>
            to(other.dtype, other.device, non_blocking: non_blocking);

        public Tensor to_type(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            After(disposeAfter, Aten.Call("to.dtype", this, type, non_blocking, copy));

        public Tensor type(ScalarType dtype) => to_type(dtype);

        public Tensor type(Func<Tensor, Tensor> typeFunc) => typeFunc(this);

        public Tensor type_as(Tensor tensor) => to_type(tensor.dtype);

        public Tensor @bool() => to_type(ScalarType.Bool);
        public Tensor @byte() => to_type(ScalarType.Byte);
        public Tensor @char() => to_type(ScalarType.Int8);
        public Tensor @short() => to_type(ScalarType.Int16);
        public Tensor @int() => to_type(ScalarType.Int32);
        public Tensor @long() => to_type(ScalarType.Int64);
        public Tensor half() => to_type(ScalarType.Float16);
        public Tensor bfloat16() => to_type(ScalarType.BFloat16);
        public Tensor @float() => to_type(ScalarType.Float32);
        public Tensor @double() => to_type(ScalarType.Float64);

        public override bool Equals(object? obj) => obj is Tensor other && Equals(other);

        public bool Equals(Tensor target) => Aten.CallBool("equal", this, target);

        public override int GetHashCode() => base.GetHashCode();

        public override string ToString()
        {
            if (IsInvalid) return "[disposed]";
            var on = device;
            var text = $"[{string.Join("x", shape.Select(n => n.ToString(CultureInfo.InvariantCulture)))}], "
                + $"type = {dtype}, device = {on}";
            if (dim() == 0 && on.type != DeviceType.META)
                text += $", value = {Convert.ToString(Number(), CultureInfo.InvariantCulture)}";
            return text;
        }

        /// <summary>A pointer to the first element, for readers that check type and layout themselves.</summary>
        internal nint DataPointer()
        {
            if (!is_cpu())
                throw new InvalidOperationException("Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
            var pointer = Native.shim_data(Handle);
            GC.KeepAlive(this);
            return pointer == 0 && NumberOfElements > 0 ? throw Native.Failure() : pointer;
        }

        internal void ValidateType(Type type)
        {
            var expected = dtype;
            // .NET has no type for bfloat16: any is taken.
            if (expected != ScalarType.BFloat16 && ClrType(expected) != type)
                throw new ArgumentException($"{type.Name} is not compatible with {expected}");
        }

        private object Number()
        {
            var scalar = ToScalar();
            return scalar.Type switch
            {
                ScalarType.Bool => scalar.ToBoolean(),
                ScalarType.Float64 when dtype == ScalarType.Float32 => scalar.ToSingle(),
                ScalarType.Float64 => scalar.ToDouble(),
                _ => scalar.ToInt64(),
            };
        }

        private bool Is(Flag flag)
        {
            var value = Native.shim_flag(Handle, flag);
            GC.KeepAlive(this);
            Native.Check(value);
            return value != 0;
        }

        private int Wrap(long dim)
        {
            var dims = Info.Dims;
            if (dim < -Math.Max(dims, 1) || dim >= Math.Max(dims, 1))
                throw new System.Runtime.InteropServices.ExternalException(
                    $"Dimension out of range (expected to be in range of [{-Math.Max(dims, 1)}, {Math.Max(dims, 1) - 1}], but got {dim})");
            return (int)(dim < 0 ? dim + dims : dim);
        }

        private Tensor After(bool dispose, Tensor result)
        {
            if (dispose) Dispose();
            return result;
        }
    }
}
