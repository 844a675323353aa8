using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>Calls ATen operators by the name of their schema, such as <c>add.Tensor</c>.</summary>
internal static unsafe class Aten
{
    private static readonly ConcurrentDictionary<string, nint> Operators = new();

    /// <summary>Calls an operator whose first result is a tensor.</summary>
    internal static Tensor Call(string op, params ReadOnlySpan<Arg> args) => Wrap(Invoke(op, null, args).Bits);

    /// <summary>Calls an operator that changes <paramref name="self"/>, its first argument.</summary>
    internal static Tensor InPlace(string op, Tensor self, params ReadOnlySpan<Arg> args)
    {
        Native.shim_free((nint)Invoke(op, self, args).Bits);
        return self;
    }

    internal static (Tensor, Tensor) CallPair(string op, params ReadOnlySpan<Arg> args)
    {
        var results = CallMany(op, args);
        return (results[0], results[1]);
    }

    internal static (Tensor, Tensor, Tensor) CallTriple(string op, params ReadOnlySpan<Arg> args)
    {
        var results = CallMany(op, args);
        return (results[0], results[1], results[2]);
    }

    internal static Tensor[] CallMany(string op, params ReadOnlySpan<Arg> args)
    {
        Invoke(op, null, args, out var results, out var count);
        var tensors = new Tensor[count];
        for (var i = 0; i < count; i++) tensors[i] = Wrap(results[i].Bits);
        return tensors;
    }

    internal static bool CallBool(string op, params ReadOnlySpan<Arg> args) => Invoke(op, null, args).Bits != 0;

    internal static NativeValue CallValue(string op, params ReadOnlySpan<Arg> args) => Invoke(op, null, args);

    private static Tensor Wrap(long handle) => new((nint)handle);

    private static NativeValue Invoke(string op, Tensor? self, ReadOnlySpan<Arg> args)
    {
        Invoke(op, self, args, out var results, out _);
        return *results;
    }

    [SkipLocalsInit]
    private static void Invoke(string op, Tensor? self, ReadOnlySpan<Arg> args, out NativeValue* results, out int count)
    {
        var handle = Operators.TryGetValue(op, out var known) ? known : Find(op);
        var values = stackalloc NativeValue[args.Length + 1];
        var lists = 0;
        foreach (ref readonly var arg in args) lists += arg.Length;
        // Shapes and the like fit on the stack; a long text or list of tensors gets an array of its own.
        var spare = lists <= 64 ? default : new long[lists];
        var small = stackalloc long[64];
        fixed (long* large = spare)
        {
            var list = spare is null ? small : large;
            var n = 0;
            if (self is not null) values[n++] = new NativeValue { Tag = Tag.Tensor, Bits = self.Handle };
            foreach (ref readonly var arg in args)
            {
                arg.Write(ref values[n++], list);
                list += arg.Length;
            }
            NativeValue* found;
            count = Native.shim_call(handle, values, n, &found);
            GC.KeepAlive(self);
            foreach (ref readonly var arg in args) arg.KeepAlive();
            if (count < 0) throw Native.Failure();
            results = found;
        }
    }

    private static nint Find(string op)
    {
        var dot = op.IndexOf('.');
        var handle = Native.shim_operator("aten::" + (dot < 0 ? op : op[..dot]), dot < 0 ? "" : op[(dot + 1)..]);
        if (handle == 0) throw Native.Failure();
        return Operators.GetOrAdd(op, handle);
    }
}

/// <summary>An argument of an operator; what TorchSharp's methods take converts to it implicitly.</summary>
internal readonly struct Arg
{
    private readonly Tag tag;
    private readonly long bits;
    private readonly object? value;

    private Arg(Tag tag, long bits = 0, object? value = null)
    {
        this.tag = tag;
        this.bits = bits;
        this.value = value;
    }

    /// <summary>The default value in the operator's schema.</summary>
    internal static Arg Default => new(Tag.Default);

    internal static Arg None => new(Tag.None);

    public static implicit operator Arg(Tensor? tensor) =>
        tensor is null ? None : new(Tag.Tensor, tensor.Handle, tensor);
    public static implicit operator Arg(long number) => new(Tag.Int, number);
    public static implicit operator Arg(long? number) => number is { } n ? n : None;
    public static implicit operator Arg(double number) => new(Tag.Double, BitConverter.DoubleToInt64Bits(number));
    public static implicit operator Arg(double? number) => number is { } n ? n : None;
    public static implicit operator Arg(bool truth) => new(Tag.Bool, truth ? 1 : 0);
    public static implicit operator Arg(bool? truth) => truth is { } t ? t : None;
    public static implicit operator Arg(Scalar? scalar) => scalar is null ? None : new(scalar.Tag, scalar.Bits);
    public static implicit operator Arg(ScalarType type) => new(Tag.Int, (long)type);
    public static implicit operator Arg(ScalarType? type) => type is { } t ? t : None;
    public static implicit operator Arg(long[]? list) => list is null ? None : new(Tag.Ints, list.Length, list);
    public static implicit operator Arg(double[]? list) => list is null ? None : new(Tag.Doubles, list.Length, list);
    public static implicit operator Arg(Tensor[] list) => new(Tag.Tensors, list.Length, list);
    public static implicit operator Arg(Device? device) => device is null ? None : new(Tag.Device, device.Packed);
    public static implicit operator Arg(Generator? generator) =>
        generator is null ? None : new(Tag.Generator, generator.Handle, generator);
    public static implicit operator Arg(string? text) =>
        text is null ? None : new(Tag.String, Encoding.UTF8.GetByteCount(text), text);

    /// <summary>A list of tensors with gaps, as index takes.</summary>
    internal static Arg Optional(IReadOnlyList<Tensor?> list) =>
        new(Tag.OptionalTensors, list.Count, list as Tensor?[] ?? list.ToArray());

    /// <summary>How many 8-byte cells of list space it takes.</summary>
    internal int Length => tag switch
    {
        Tag.Ints or Tag.Doubles or Tag.Tensors or Tag.OptionalTensors => (int)bits,
        Tag.String => ((int)bits + 7) / 8,
        _ => 0,
    };

    internal unsafe void Write(ref NativeValue target, long* list)
    {
        target.Tag = tag;
        if (value is null or Tensor or Generator)
        {
            target.Bits = bits;
            return;
        }
        var count = target.Count = (int)bits;
        target.Bits = (nint)list;
        switch (value)
        {
            case long[] numbers:
                numbers.CopyTo(new Span<long>(list, count));
                break;
            case double[] numbers:
                numbers.CopyTo(new Span<double>(list, count));
                break;
            case Tensor?[] tensors:
                for (var i = 0; i < count; i++) list[i] = tensors[i]?.Handle ?? 0;
                break;
            case string text:
                Encoding.UTF8.GetBytes(text, new Span<byte>(list, count));
                break;
        }
    }

    internal void KeepAlive() => GC.KeepAlive(value);
}
