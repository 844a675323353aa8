namespace TorchSharp;

public static partial class torch
{
    /// <summary>A source of random numbers.</summary>
    public class Generator : IDisposable
    {
        private nint handle;

        public Generator(ulong seed = 0, Device? device = null)
            : this(Native.shim_generator(seed, (device ?? CPU).Packed))
        {
            this.device = device ?? CPU;
        }

        internal Generator(nint handle) => this.handle = handle != 0 ? handle : throw Native.Failure();

        ~Generator() => Dispose(false);

        public static Generator Default => new(Native.shim_default_generator());

        public nint Handle => handle != 0 ? handle : throw new InvalidOperationException("Generator invalid -- empty handle.");

        public Device device { get; } = CPU;

        public Generator manual_seed(long seed)
        {
            Seed(SeedAction.Set, seed);
            return this;
        }

        public long initial_seed() => Seed(SeedAction.Read);

        public long seed() => Seed(SeedAction.Randomise);

        public Tensor get_state()
        {
            var state = Native.shim_generator_state(Handle);
            GC.KeepAlive(this);
            return state != 0 ? new Tensor(state) : throw Native.Failure();
        }

        public void set_state(Tensor value)
        {
            Native.Check(Native.shim_generator_set_state(Handle, value.Handle));
            GC.KeepAlive(this);
            GC.KeepAlive(value);
        }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (handle != 0) Native.shim_generator_free(handle);
            handle = 0;
        }

        private long Seed(SeedAction action, long value = 0)
        {
            Native.Check(Native.shim_generator_seed(Handle, action, ref value));
            GC.KeepAlive(this);
            return value;
        }
    }

    public static Generator manual_seed(long seed)
    {
        Native.Check(Native.shim_manual_seed(seed, 0));
        return Generator.Default;
    }

    public static long initial_seed() => Generator.Default.initial_seed();

    public static long seed() => Generator.Default.seed();

    public static Tensor get_rng_state() => Generator.Default.get_state();

    public static void set_rng_state(Tensor new_state) => Generator.Default.set_state(new_state);

    public static partial class random
    {
        public static Generator manual_seed(long seed) => torch.manual_seed(seed);

        public static long initial_seed() => torch.initial_seed();

        public static long seed() => torch.seed();

        public static Tensor get_rng_state() => torch.get_rng_state();

        public static void set_rng_state(Tensor new_state) => torch.set_rng_state(new_state);
    }
}
