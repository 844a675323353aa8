using System.Buffers.Binary;
using System.Text;

namespace Sora.Tensors;

/// <summary>A storage that a pickle names: the file of the archive that holds it.</summary>
/// <param name="Type">Its class, such as <c>torch HalfStorage</c>.</param>
/// <param name="Key">Its file's name.</param>
/// <param name="Elements">Numbers in it.</param>
internal sealed record PickledStorage(string Type, string Key, long Elements);

/// <summary>A tensor in a pickle: numbers of a storage, starting at an offset.</summary>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Shape, long[] Strides);

/// <summary>
/// The pickle of a PyTorch checkpoint (https://docs.python.org/3/library/pickletools.html, protocol 2), which is a
/// program. This machine knows the instructions that build names and tensors, and calls nothing: everything else is
/// refused by name.
/// </summary>
internal static class Pickle
{
    private const string Rebuild = "torch._utils _rebuild_tensor_v2",
        Ordered = "collections OrderedDict";

    private sealed record Global(string Name);

    private sealed class Mark;

    /// <summary>The named tensors that a pickle builds, in their order.</summary>
    /// <exception cref="SoraException">It builds something else, or ends early.</exception>
    public static List<KeyValuePair<string, PickledTensor>> Tensors(byte[] code, string origin)
    {
        if (Run(new Reader(code, origin)) is not List<KeyValuePair<object?, object?>> pairs)
            throw Bad(origin, "it doesn't contain a list of named tensors");
        return
        [
            .. pairs.Select(pair =>
                pair is { Key: string name, Value: PickledTensor tensor }
                    ? KeyValuePair.Create(name, tensor)
                    : throw Bad(origin, $"'{pair.Key}' in it is not a tensor")
            ),
        ];
    }

    private static object? Run(Reader code)
    {
        var stack = new Stack(code.Origin);
        for (var operation = code.Byte(); operation != '.'; operation = code.Byte()) // STOP
        {
            if (!Push(operation, code, stack) && !Remember(operation, code, stack) && !Build(operation, code, stack))
                throw Bad(code.Origin, $"it contains instruction 0x{operation:x2}, which weights don't need");
        }
        return stack.Pop();
    }

    /// <summary>Instructions that push a value; false: it is none of these.</summary>
    private static bool Push(byte operation, Reader code, Stack stack)
    {
        switch (operation)
        {
            case (byte)'(':
                stack.Push(new Mark());
                break; // MARK
            case (byte)'}':
                stack.Push(new List<KeyValuePair<object?, object?>>());
                break; // EMPTY_DICT
            case (byte)')':
                stack.Push(Array.Empty<object?>());
                break; // EMPTY_TUPLE
            case (byte)'N':
                stack.Push(null);
                break; // NONE
            case 0x88 or 0x89:
                stack.Push(operation == 0x88);
                break; // NEWTRUE, NEWFALSE
            case (byte)'K':
                stack.Push((long)code.Byte());
                break; // BININT1
            case (byte)'M':
                stack.Push((long)BinaryPrimitives.ReadUInt16LittleEndian(code.Take(2)));
                break; // BININT2
            case (byte)'J':
                stack.Push((long)code.Int());
                break; // BININT
            case 0x8a:
                stack.Push(code.Long());
                break; // LONG1
            case (byte)'X':
                stack.Push(code.Text(code.Int()));
                break; // BINUNICODE
            case (byte)'c':
                stack.Push(new Global($"{code.Line()} {code.Line()}"));
                break; // GLOBAL
            default:
                return false;
        }
        return true;
    }

    /// <summary>Instructions that save and load values; false: it is none of these.</summary>
    private static bool Remember(byte operation, Reader code, Stack stack)
    {
        switch (operation)
        {
            case (byte)'q':
                stack.Save(code.Byte());
                break; // BINPUT
            case (byte)'r':
                stack.Save(code.Int());
                break; // LONG_BINPUT
            case (byte)'h':
                stack.Load(code.Byte());
                break; // BINGET
            case (byte)'j':
                stack.Load(code.Int());
                break; // LONG_BINGET
            default:
                return false;
        }
        return true;
    }

    /// <summary>Instructions that build something from values on the stack, and PROTO; false: it is none of these.</summary>
    private static bool Build(byte operation, Reader code, Stack stack)
    {
        switch (operation)
        {
            case 0x80:
                code.Version();
                break; // PROTO
            case (byte)'t':
                stack.Push(stack.PopToMark());
                break; // TUPLE
            case 0x85 or 0x86 or 0x87:
                stack.Push(stack.Pop(operation - 0x84));
                break; // TUPLE1 to TUPLE3
            case (byte)'Q':
                stack.Push(Storage(stack.Pop(), code.Origin));
                break; // BINPERSID
            case (byte)'R':
                stack.Push(Call(stack.Pop(), stack.Pop(), code.Origin));
                break; // REDUCE
            case (byte)'s':
                stack.Add(stack.Pop(2));
                break; // SETITEM
            case (byte)'u':
                stack.Add(stack.PopToMark());
                break; // SETITEMS
            case (byte)'b':
                stack.Pop();
                break; // BUILD: versions of modules, which say nothing about weights
            default:
                return false;
        }
        return true;
    }

    private static PickledStorage Storage(object? id, string origin) =>
        id is object?[] and ["storage", Global type, string key, string, long elements]
            ? new(type.Name, key, elements)
            : throw Bad(origin, "it refers to data that isn't a storage");

    private static object Call(object? arguments, object? function, string origin)
    {
        if (function is not Global { Name: var name })
            throw Bad(origin, "it calls something without a name");
        if (name == Ordered && arguments is object?[] { Length: 0 })
            return new List<KeyValuePair<object?, object?>>();
        if (
            name == Rebuild
            && arguments is object?[] and [PickledStorage storage, long offset, object?[] shape, object?[] strides, ..]
            && shape.All(size => size is long)
            && strides.All(stride => stride is long)
        )
            return new PickledTensor(storage, offset, [.. shape.Cast<long>()], [.. strides.Cast<long>()]);
        throw Bad(origin, $"it calls {name.Replace(' ', '.')}, which weights don't need");
    }

    private static SoraException Bad(string origin, string what) =>
        SoraException.Failed(
            $"{origin}: a PyTorch file with more than weights in it: {string.Concat(what.Select(c => char.IsControl(c) ? '?' : c))}",
            "none of it was run; get the model in the safetensors format"
        );

    /// <summary>The machine's stack, and the values that it has saved.</summary>
    private sealed class Stack(string origin)
    {
        private readonly Stack<object?> values = new();
        private readonly Dictionary<long, object?> saved = [];

        public void Push(object? value) => values.Push(value);

        public object? Pop() => values.TryPop(out var value) ? value : throw Bad(origin, "it pops from an empty stack");

        public object?[] Pop(int count) => [.. Enumerable.Range(0, count).Select(_ => Pop()).Reverse()];

        public object?[] PopToMark()
        {
            var items = new List<object?>();
            for (var item = Pop(); item is not Mark; item = Pop())
                items.Add(item);
            items.Reverse();
            return [.. items];
        }

        /// <summary>Adds keys and values, in turn, to the dictionary on top.</summary>
        public void Add(object?[] items)
        {
            if (values.TryPeek(out var top) && top is List<KeyValuePair<object?, object?>> pairs && items.Length % 2 == 0)
                pairs.AddRange(items.Chunk(2).Select(pair => KeyValuePair.Create(pair[0], pair[1])));
            else
                throw Bad(origin, "it adds to something that is not a dictionary");
        }

        public void Save(long place) =>
            saved[place] = values.TryPeek(out var value) ? value : throw Bad(origin, "it saves from an empty stack");

        public void Load(long place) =>
            Push(saved.TryGetValue(place, out var value) ? value : throw Bad(origin, "it loads something that it hasn't saved"));
    }

    /// <summary>The bytes of a pickle, one instruction after another.</summary>
    private sealed class Reader(byte[] code, string origin)
    {
        private int at;

        public string Origin => origin;

        public byte Byte() => Take(1)[0];

        public int Int() => BinaryPrimitives.ReadInt32LittleEndian(Take(sizeof(int)));

        public string Text(int bytes) => Encoding.UTF8.GetString(Take(bytes));

        public ReadOnlySpan<byte> Take(int bytes)
        {
            if (bytes < 0 || bytes > code.Length - at)
                throw Bad(Origin, "it ends early");
            at += bytes;
            return code.AsSpan(at - bytes, bytes);
        }

        public string Line()
        {
            var end = Array.IndexOf(code, (byte)'\n', at);
            var line = Text(end < 0 ? int.MaxValue : end - at);
            Take(1);
            return line;
        }

        public long Long()
        {
            var bytes = Take(Byte());
            if (bytes.Length > sizeof(long))
                throw Bad(Origin, "it contains a number that is too large");
            return bytes.IsEmpty ? 0 : (long)new System.Numerics.BigInteger(bytes);
        }

        public void Version()
        {
            if (Byte() is var version and not 2)
                throw Bad(Origin, $"its protocol is {version}, not 2");
        }
    }
}
