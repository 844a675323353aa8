namespace Sora.Tensors;

/// <summary>Safetensors documents in streams; for files see <see cref="SafeTensorsFile"/>.</summary>
public static class SafeTensors
{
    private const string WriterFailed = "the program that was writing it failed or was stopped";

    /// <summary>
    /// Reads one document, exactly its header and data, so that another may follow. Memory grows with the bytes that
    /// arrive, whatever the header claims.
    /// </summary>
    /// <param name="stream">Where the document begins.</param>
    /// <param name="origin">The stream's name, for messages.</param>
    /// <param name="cancel">Stops between reads.</param>
    /// <returns>The document, or null where the stream is at its end.</returns>
    /// <exception cref="SoraException">The stream ends early, or holds something else.</exception>
    public static TensorSet? Read(Stream stream, string origin, CancellationToken cancel = default)
    {
        var start = ReadUpTo(stream, SafeTensorsHeader.LengthBytes, cancel);
        if (start.Length == 0)
            return null;
        var length = SafeTensorsHeader.Length(start, origin);
        var json = ReadUpTo(stream, length, cancel);
        if (json.Length < length)
            throw SafeTensorsHeader.Truncated(origin, length, json.Length, "header", WriterFailed);
        var header = SafeTensorsHeader.Parse(json, origin);

        var tensors = new List<KeyValuePair<string, HostTensor>>(header.Tensors.Count);
        foreach (var info in header.Tensors)
        {
            if (info.Bytes > Array.MaxLength)
                throw SoraException.Failed(
                    $"{origin}: tensor '{info.Name}' of {info.Bytes} bytes is too large for a pipe",
                    "pass it as a file"
                );
            var data = ReadUpTo(stream, (int)info.Bytes, cancel);
            if (data.Length < info.Bytes)
                throw SafeTensorsHeader.Truncated(origin, header.DataBytes, info.Offset + data.Length, "data", WriterFailed);
            tensors.Add(new(info.Name, new HostTensor(info.DType, info.Shape, data)));
        }
        return new TensorSet(tensors, header.Metadata, origin);
    }

    /// <summary>Writes one document of tensors in memory.</summary>
    /// <param name="stream">Written from its current position on; not flushed.</param>
    /// <param name="metadata">Kept in this order; may be empty.</param>
    /// <param name="tensors">Their order in the file is by size of element, then by name, so that each is aligned.</param>
    public static void Write(
        Stream stream,
        IReadOnlyDictionary<string, string> metadata,
        IEnumerable<KeyValuePair<string, HostTensor>> tensors
    ) => Write(stream, metadata, [.. tensors.Select(entry => TensorToWrite.Of(entry.Key, entry.Value))]);

    /// <summary>Writes one document whose tensors are produced one after another, so that only one is in memory.</summary>
    /// <param name="stream">Written from its current position on; not flushed.</param>
    /// <param name="metadata">Kept in this order; may be empty.</param>
    /// <param name="tensors">Their order in the file is by size of element, then by name, so that each is aligned.</param>
    /// <exception cref="InvalidOperationException">A tensor wrote another number of bytes than its type and shape say.</exception>
    public static void Write(Stream stream, IReadOnlyDictionary<string, string> metadata, IReadOnlyList<TensorToWrite> tensors)
    {
        var sorted = tensors
            .OrderByDescending(tensor => tensor.DType.BlockBytes())
            .ThenBy(tensor => tensor.Name, StringComparer.Ordinal)
            .ToList();
        var infos = new List<TensorInfo>(sorted.Count);
        var offset = 0L;
        foreach (var tensor in sorted)
        {
            var bytes = Shapes.Elements(tensor.Shape) * tensor.DType.BlockBytes();
            infos.Add(new TensorInfo(tensor.Name, tensor.DType, tensor.Shape, offset, bytes));
            offset += bytes;
        }
        stream.Write(SafeTensorsHeader.Serialise(metadata, infos));
        for (var i = 0; i < sorted.Count; i++)
        {
            using var counted = new CountingStream(stream);
            sorted[i].Write(counted);
            if (counted.Written != infos[i].Bytes)
                throw new InvalidOperationException($"tensor '{infos[i].Name}' wrote {counted.Written} bytes, not {infos[i].Bytes}");
        }
    }

    /// <summary>Returns fewer bytes only where the stream ends. The buffer doubles as bytes arrive, whatever a header claims.</summary>
    private static byte[] ReadUpTo(Stream stream, int count, CancellationToken cancel)
    {
        const int first = 1 << 20;
        var buffer = new byte[Math.Min(count, first)];
        var filled = 0;
        while (filled < count)
        {
            cancel.ThrowIfCancellationRequested();
            if (filled == buffer.Length)
                Array.Resize(ref buffer, (int)Math.Min(count, 2L * buffer.Length));
            var read = stream.Read(buffer, filled, buffer.Length - filled);
            if (read == 0)
                break;
            filled += read;
        }
        if (filled < buffer.Length)
            Array.Resize(ref buffer, filled);
        return buffer;
    }

    private sealed class CountingStream(Stream inner) : Stream
    {
        public long Written { get; private set; }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => Written;
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            inner.Write(buffer);
            Written += buffer.Length;
        }

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}

/// <summary>A tensor that is produced when its turn comes.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="DType">Its type in the file.</param>
/// <param name="Shape">Sizes, slowest first.</param>
/// <param name="Write">Writes exactly the tensor's bytes.</param>
public sealed record TensorToWrite(string Name, DType DType, long[] Shape, Action<Stream> Write)
{
    /// <summary>A tensor that is in memory.</summary>
    public static TensorToWrite Of(string name, HostTensor tensor) =>
        new(name, tensor.DType, tensor.Shape, output => output.Write(tensor.Data));
}
