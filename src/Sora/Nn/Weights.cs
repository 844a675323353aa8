using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Sora.Kernels;
using Sora.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>How the tensors of a model part are loaded.</summary>
public sealed record WeightsOptions
{
    /// <summary>Where the tensors go; null is the CPU.</summary>
    public Device? Device { get; init; }

    /// <summary>The floating type that they are converted to; null keeps what the file has.</summary>
    public ScalarType? DType { get; init; }

    /// <summary>Loads float32 tensors that record gradients, to train further; all blocks stay in memory then.</summary>
    public bool Trainable { get; init; }

    /// <summary>Takes a tensor that is smaller than requested as the beginning of one of that size, with zeros for the rest.</summary>
    public bool Widened { get; init; }

    /// <summary>How many blocks stay in memory, of parts that have blocks.</summary>
    public Offload Offload { get; init; }
}

/// <summary>
/// The named tensors of one model part. A model asks for each tensor by name and shape in its constructor; the
/// tensors come from files (mapped, read when asked for), are new for training, or have a shape and no
/// data. They belong to this object, not to the caller's dispose scope, and are freed with it.
/// </summary>
public sealed class Weights : IDisposable
{
    private readonly Store store;
    private readonly string prefix;
    private readonly bool full;

    private Weights(Store store, string prefix = "", bool full = false) => (this.store, this.prefix, this.full) = (store, prefix, full);

    /// <summary>Where the tensors come from, for messages.</summary>
    public string Source => store.Source;

    /// <summary>The device of the tensors.</summary>
    public Device Device => store.Device;

    /// <summary>The same tensors in float32, whatever type was asked for: for the parts that lose too much in half.</summary>
    public Weights Full => new(store, prefix, true);

    /// <summary>Takes the tensors of <paramref name="source"/>, which is disposed with the weights.</summary>
    public static Weights From(TensorSource source, WeightsOptions? options = null) =>
        new(new FileStore(source, options ?? new WeightsOptions()));

    /// <summary>
    /// New float32 tensors that record gradients, each filled as its model says; the same <paramref name="seed"/> gives
    /// the same numbers, in whatever order they are requested.
    /// </summary>
    public static Weights Initialise(long seed, Device? device = null) =>
        new(
            new NewStore(
                "new weights",
                device ?? CPU,
                (name, init, shape) =>
                {
                    var tensor = empty(shape, float32);
                    init.Fill(tensor, SeedOf(seed, name));
                    return Own(tensor, device ?? CPU).requires_grad_();
                }
            )
        );

    /// <summary>Tensors with shapes and no data, on the meta device: to count parameters and to check shapes.</summary>
    public static Weights Meta() =>
        new(new NewStore("shapes", META, (_, _, shape) => empty(shape, float32, META).DetachFromDisposeScope()));

    /// <summary>
    /// Tensors on the meta device with the shapes in a header: a model that is built over them is checked against it, and
    /// nothing is read. The caller keeps <paramref name="source"/>.
    /// </summary>
    public static Weights Headers(TensorSource source) =>
        new(
            new NewStore(
                source.Origin,
                META,
                (name, _, shape) =>
                {
                    RequireShape(source, name, shape);
                    return empty(shape, float32, META).DetachFromDisposeScope();
                }
            )
        );

    /// <summary>The tensors below <paramref name="name"/>: <c>Scope("blocks.0").Get("norm1.weight")</c>.</summary>
    public Weights Scope(string name) => new(store, $"{prefix}{name}.", full);

    /// <summary>The tensors below a numbered part: <c>Scope("blocks", 0)</c>.</summary>
    public Weights Scope(string name, int index) => Scope($"{name}.{index}");

    /// <summary>
    /// Blocks that stay in memory for a model built over these weights; null: all of them. The others are borrowed
    /// (<see cref="Borrow"/>) each time they run.
    /// </summary>
    public int? Kept => store.Kept;

    /// <summary>
    /// The same tensors for a part of a model that is used and freed: they are read again, belong to the result alone,
    /// and are freed with it. Several threads may borrow at a time.
    /// </summary>
    /// <exception cref="NotSupportedException">The weights come from no file.</exception>
    public Weights Borrow() => new(store.Borrow(), prefix, full);

    /// <summary>The most bytes that tensors from the files have taken at a time, borrowed ones included.</summary>
    public long MostHeld => store.MostHeld;

    /// <summary>Whether there is such a tensor; new weights have every tensor.</summary>
    public bool Has(string name) => store.Has(prefix + name);

    /// <summary>
    /// The tensor <paramref name="name"/> of exactly this shape; <paramref name="init"/> says how a new one begins.
    /// </summary>
    /// <exception cref="SoraException">The tensor is missing or has another shape.</exception>
    public Tensor Get(string name, Init init, params long[] shape) => store.Get(prefix + name, init, shape, full);

    /// <summary>
    /// Some rows of the matrix <paramref name="name"/> of this shape, which is not loaded as a whole; they are the caller's.
    /// </summary>
    /// <exception cref="SoraException">The tensor is missing or has another shape.</exception>
    /// <exception cref="NotSupportedException">The weights come from no file.</exception>
    public Tensor Rows(string name, IReadOnlyList<long> rows, params long[] shape) => store.Rows(prefix + name, rows, shape);

    /// <summary>The tensors that the model has asked for so far, by full name.</summary>
    public IReadOnlyDictionary<string, Tensor> Named() => store.Loaded;

    /// <summary>Tensors in the files that no model has asked for.</summary>
    public IReadOnlyList<string> Unused() => store.Unused();

    /// <summary>
    /// Writes every tensor that the model has asked for as one safetensors file, whole or not at all, its
    /// floating tensors converted to <paramref name="dtype"/> (null: as they are).
    /// </summary>
    public void Save(string path, ScalarType? dtype = null, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var tensors = Named().Select(pair => TensorIO.ToWrite(pair.Key, pair.Value, dtype is { } type ? TensorIO.StoredType(type) : null));
        AtomicFile.Write(
            path,
            stream => SafeTensors.Write(stream, metadata ?? new Dictionary<string, string> { ["format"] = "pt" }, [.. tensors])
        );
    }

    /// <summary>Frees the tensors and closes the files.</summary>
    public void Dispose() => store.Dispose();

    private static Tensor Own(Tensor tensor, Device device)
    {
        if (device.type != DeviceType.CPU)
            tensor = tensor.to(device, disposeAfter: true);
        return tensor.DetachFromDisposeScope();
    }

    private static void RequireShape(TensorSource source, string name, long[] shape)
    {
        if (!source.Tensors.TryGetValue(name, out var info))
            throw SoraException.Failed(
                $"{source.Origin} has no tensor {name} (expected {Shapes.Text(shape)})",
                "the weights and config.json belong to different models, or the download is incomplete"
            );
        if (!info.Shape.AsSpan().SequenceEqual(shape))
            throw WrongShape(source.Origin, name, info.Shape, shape);
    }

    private static SoraException WrongShape(string source, string name, long[] found, long[] wanted) =>
        SoraException.Failed(
            $"{source}: tensor {name} is {Shapes.Text(found)}, expected {Shapes.Text(wanted)}",
            "the weights and config.json belong to different models"
        );

    /// <summary>Whether a tensor holds only numbers, in one pass: a sum of numbers is a number.</summary>
    internal static bool IsFinite(Tensor tensor)
    {
        using var sum = tensor.sum(float32);
        return float.IsFinite(sum.item<float>());
    }

    /// <summary>
    /// Reads each floating tensor of a source once, whatever type it is stored in, and checks that it holds only numbers.
    /// </summary>
    /// <exception cref="SoraException">One holds something else.</exception>
    internal static void RequireFinite(TensorSource source, CancellationToken cancel)
    {
        var floating = source.Tensors.Values.Where(tensor => tensor.DType.IsFloat());
        try
        {
            Parallel.ForEach(
                floating,
                new ParallelOptions { CancellationToken = cancel },
                info =>
                {
                    // Whole blocks of every quantised type.
                    const int Piece = 1 << 18;
                    var values = new float[Math.Min(info.Elements, Piece)];
                    for (var first = 0L; first < info.Elements; first += Piece)
                    {
                        cancel.ThrowIfCancellationRequested();
                        var part = values.AsSpan(0, (int)Math.Min(Piece, info.Elements - first));
                        source.ReadFloats(info.Name, first, part);
                        // Zero times a number is zero; times anything else it isn't.
                        var sum = Vector<float>.Zero;
                        var vectors = MemoryMarshal.Cast<float, Vector<float>>(part);
                        foreach (var vector in vectors)
                            sum += vector * 0;
                        var rest = Vector.Sum(sum);
                        foreach (var value in part[(vectors.Length * Vector<float>.Count)..])
                            rest += value * 0;
                        if (rest != 0)
                            throw NoNumbers(source.Origin, info.Name);
                    }
                }
            );
        }
        catch (AggregateException faults)
        {
            ExceptionDispatchInfo.Throw(faults.InnerExceptions[0]);
        }
    }

    /// <summary>The error for a tensor that holds anything but numbers.</summary>
    internal static SoraException NoNumbers(string source, string name) =>
        SoraException.Damaged($"{source}: tensor {name} contains NaN or infinity");

    /// <summary>A seed of its own for each tensor, so that adding a layer doesn't change the others.</summary>
    private static ulong SeedOf(long seed, string name) => BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed} {name}")));

    private abstract class Store(string source, Device device) : IDisposable
    {
        public string Source { get; } = source;
        public Device Device { get; } = device;
        public OrderedDictionary<string, Tensor> Loaded { get; } = [];

        public abstract bool Has(string name);

        protected abstract Tensor Make(string name, Init init, long[] shape, bool full);

        public virtual IReadOnlyList<string> Unused() => [];

        public virtual int? Kept => null;

        public virtual Store Borrow() => throw new NotSupportedException($"{Source} can't be read again");

        public virtual Tensor Rows(string name, IReadOnlyList<long> rows, long[] shape) =>
            throw new NotSupportedException($"{Source} has no rows to read");

        public virtual long MostHeld => 0;

        public Tensor Get(string name, Init init, long[] shape, bool full)
        {
            if (!Loaded.TryGetValue(name, out var tensor))
                Loaded[name] = tensor = Make(name, init, shape, full);
            if (!tensor.shape.AsSpan().SequenceEqual(shape))
                throw WrongShape(Source, name, tensor.shape, shape);
            return tensor;
        }

        public virtual void Dispose()
        {
            foreach (var tensor in Loaded.Values)
                tensor.Dispose();
            Loaded.Clear();
        }
    }

    /// <summary>What tensors of a file and borrowed ones share.</summary>
    private sealed class Ledger
    {
        private readonly List<Tensor> free = [];
        private long held,
            most;

        /// <summary>Tensors that were read and found to hold numbers.</summary>
        public ConcurrentDictionary<string, bool> Seen { get; } = [];

        public long Most => Interlocked.Read(ref most);

        public void Add(long bytes)
        {
            var now = Interlocked.Add(ref held, bytes);
            for (var before = Most; now > before; before = Most)
                if (Interlocked.CompareExchange(ref most, now, before) == before)
                    return;
        }

        /// <summary>
        /// Keeps the memory of a block for the next one: blocks are alike, and pages that the system takes and hands out
        /// again, zeroed, cost more time than reading.
        /// </summary>
        public void Keep(IEnumerable<Tensor> tensors)
        {
            lock (free)
                free.AddRange(tensors);
        }

        /// <summary>A tensor that was kept, to be overwritten, or null.</summary>
        public Tensor? Take(long[] shape, ScalarType type)
        {
            lock (free)
            {
                var at = free.FindIndex(tensor => tensor.dtype == type && tensor.shape.AsSpan().SequenceEqual(shape));
                if (at < 0)
                    return null;
                var taken = free[at];
                free.RemoveAt(at);
                return taken;
            }
        }

        /// <summary>Frees what was kept.</summary>
        public void Free()
        {
            foreach (var tensor in free)
                tensor.Dispose();
            free.Clear();
        }
    }

    private sealed class FileStore(TensorSource source, WeightsOptions options, Ledger? lender = null)
        : Store(source.Origin, options.Device ?? CPU)
    {
        private const long LargePart = 256 << 20;

        private readonly Ledger ledger = lender ?? new Ledger();

        /// <summary>
        /// Whether memory of what was borrowed is reused for what is
        /// borrowed next; on a device its own allocator does that.
        /// </summary>
        private bool IsRecycled => lender is not null && Device.type == DeviceType.CPU;

        public override long MostHeld => ledger.Most;

        public override int? Kept => options.Trainable ? null : options.Offload.Kept(source);

        public override Store Borrow() => new FileStore(source, options, ledger);

        public override Tensor Rows(string name, IReadOnlyList<long> rows, long[] shape)
        {
            RequireShape(source, name, shape);
            var values = new float[rows.Count * shape[1]];
            for (var i = 0; i < rows.Count; i++)
                source.ReadFloats(name, rows[i] * shape[1], values.AsSpan(checked((int)(i * shape[1])), (int)shape[1]));
            using var scope = NewDisposeScope();
            var tensor = torch.tensor(values, [rows.Count, shape[1]]);
            RequireFinite(name, tensor);
            ledger.Seen[name] = true;
            var stored = TensorIO.TorchType(source.Info(name).DType) ?? float32;
            return tensor.to(options.DType ?? stored).to(Device).MoveToOuterDisposeScope();
        }

        public override bool Has(string name) => source.Tensors.ContainsKey(name);

        protected override Tensor Make(string name, Init init, long[] shape, bool full)
        {
            // The header knows the shape: complain before reading what may be gigabytes.
            if (!options.Widened)
                RequireShape(source, name, shape);
            using var scope = NewDisposeScope();
            var isNew = true;
            Tensor? Room(long[] wanted, ScalarType type)
            {
                var free = ledger.Take(wanted, type);
                isNew = free is null;
                return free;
            }
            var tensor = TensorIO.Load(source, name, full || options.Trainable ? float32 : options.DType, IsRecycled ? Room : null);
            if (!ledger.Seen.ContainsKey(name))
                RequireFinite(name, tensor);
            ledger.Seen[name] = true;
            if (options.Widened)
                tensor = Widen(name, tensor, shape);
            tensor = Own(tensor, Device);
            if (isNew)
                ledger.Add(tensor.numel() * tensor.element_size());
            return options.Trainable ? tensor.requires_grad_() : tensor;
        }

        private Tensor Widen(string name, Tensor tensor, long[] shape)
        {
            if (tensor.shape.AsSpan().SequenceEqual(shape))
                return tensor;
            if (tensor.dim() != shape.Length || tensor.shape.Zip(shape).Any(side => side.First > side.Second))
                throw WrongShape(Source, name, tensor.shape, shape);
            return Ops.Padded(tensor, shape);
        }

        private void RequireFinite(string name, Tensor tensor)
        {
            if (tensor.is_floating_point() && !IsFinite(tensor))
                throw NoNumbers(Source, name);
        }

        public override IReadOnlyList<string> Unused() => [.. source.Tensors.Keys.Where(name => !ledger.Seen.ContainsKey(name))];

        public override void Dispose()
        {
            var tensors = Loaded.Values.Where(tensor => !tensor.IsInvalid).ToList();
            if (IsRecycled)
            {
                ledger.Keep(tensors);
                Loaded.Clear();
                return;
            }
            var bytes = tensors.Sum(tensor => tensor.numel() * tensor.element_size());
            ledger.Add(-bytes);
            base.Dispose();
            // A borrower's files are the lender's.
            if (lender is not null)
                return;
            ledger.Free();
            source.Dispose();
            // The next part may not need what a large one took, but other programs in a pipe may.
            if (bytes >= LargePart)
                HostMemory.Trim();
        }
    }

    private sealed class NewStore(string source, Device device, Func<string, Init, long[], Tensor> make) : Store(source, device)
    {
        public override bool Has(string name) => true;

        protected override Tensor Make(string name, Init init, long[] shape, bool full) => make(name, init, shape);
    }
}
