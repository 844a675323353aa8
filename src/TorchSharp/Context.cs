namespace TorchSharp;

public static partial class torch
{
    private static Device? defaultDevice;
    private static ScalarType defaultType = ScalarType.Float32;

    public static Device get_default_device() => defaultDevice ?? CPU;

    public static void set_default_device(Device device) => defaultDevice = InitializeDevice(device);

    public static void set_default_device(string device) => set_default_device(new Device(device));

    public static ScalarType get_default_dtype() => defaultType;

    public static void set_default_dtype(ScalarType dtype) => defaultType = dtype;

    public static int get_num_threads() => Native.shim_num_threads();

    public static void set_num_threads(int num) => Native.Check(Native.shim_set_num_threads(num));

    public static int get_num_interop_threads() => Native.shim_num_interop_threads();

    public static void set_num_interop_threads(int num) => Native.Check(Native.shim_set_num_interop_threads(num));

    public static bool cuda_is_available() => cuda.is_available();

    public static bool is_floating_point(ScalarType type) =>
        type is ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64;

    public static bool is_floating_point(Tensor input) => is_floating_point(input.dtype);

    public static bool is_integral(ScalarType type) =>
        type is ScalarType.Byte or ScalarType.Int8 or ScalarType.Int16 or ScalarType.Int32 or ScalarType.Int64 or ScalarType.Bool;

    public static bool is_integral(Tensor t) => is_integral(t.dtype);

    private static Type? ClrType(ScalarType type) => type switch
    {
        ScalarType.Bool => typeof(bool),
        ScalarType.Byte => typeof(byte),
        ScalarType.Int8 => typeof(sbyte),
        ScalarType.Int16 => typeof(short),
        ScalarType.Int32 => typeof(int),
        ScalarType.Int64 => typeof(long),
        ScalarType.Float16 => typeof(Half),
        ScalarType.Float32 => typeof(float),
        ScalarType.Float64 => typeof(double),
        _ => null,
    };

    private static ScalarType TypeOf(Type type) =>
        Enum.GetValues<ScalarType>().FirstOrDefault(t => ClrType(t) == type, (ScalarType)(-1)) is var found && found >= 0
            ? found
            : throw new NotSupportedException($"The type {type.FullName} is not supported.");

    public static partial class cuda
    {
        public static bool is_available() => device_count() > 0;

        public static bool is_cudnn_available() => is_available() && Native.shim_has_cudnn() > 0;

        public static int device_count() => Math.Max(0, Native.shim_cuda_device_count());

        public static void manual_seed(long seed) => manual_seed_all(seed);

        public static void manual_seed_all(long seed) => Native.Check(Native.shim_manual_seed(seed, 1));

        public static void synchronize(Device? device = null) =>
            Native.Check(Native.shim_cuda_synchronize(device?.index ?? -1));
    }

    public static partial class backends
    {
        public static partial class cuda
        {
            public static partial class matmul
            {
                public static bool allow_tf32
                {
                    get => Native.shim_tf32(0, -1) != 0;
                    set => Native.shim_tf32(0, value ? 1 : 0);
                }
            }
        }

        public static partial class cudnn
        {
            public static bool allow_tf32
            {
                get => Native.shim_tf32(1, -1) != 0;
                set => Native.shim_tf32(1, value ? 1 : 0);
            }
        }
    }
}
