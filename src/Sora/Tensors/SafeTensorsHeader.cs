using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Sora.Tensors;

/// <summary>
/// The header of a safetensors file: a u64 length, then a JSON object that maps names to type, shape and place.
/// Reading is as strict as the reference implementation (https://github.com/huggingface/safetensors, "Format"):
/// the tensors must tile the data exactly.
/// </summary>
internal sealed class SafeTensorsHeader
{
    public const int LengthBytes = 8;
    public const ulong MaxBytes = 100_000_000;
    private const string MetadataKey = "__metadata__";

    private SafeTensorsHeader(Dictionary<string, string> metadata, List<TensorInfo> tensors)
    {
        Metadata = metadata;
        // Stable, so empty tensors keep the order of the header among those that begin where they do.
        Tensors = [.. tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.Bytes)];
    }

    public Dictionary<string, string> Metadata { get; }

    /// <summary>By place in the data.</summary>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    public long DataBytes => Tensors.Count == 0 ? 0 : Tensors[^1].Offset + Tensors[^1].Bytes;

    /// <summary>The header's length, from the first bytes of a file (eight, or fewer where the file ends).</summary>
    public static int Length(ReadOnlySpan<byte> start, string origin)
    {
        if (ForeignFormat(start) is var (what, hint))
            throw SoraException.Failed($"{origin}: {what}", hint);
        if (start.Length < LengthBytes)
        {
            throw start.IsEmpty
                ? SoraException.Failed($"{origin}: empty, not a safetensors file", "the program that wrote it, or its download, failed")
                : SoraException.Failed($"{origin}: {start.Length} bytes is too short for a safetensors file", Redownload);
        }
        var length = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > MaxBytes)
            throw SoraException.Failed(
                $"{origin}: not a safetensors file (its first 8 bytes claim a header of {length} bytes)",
                "pass a .safetensors or .latent file"
            );
        return (int)length;
    }

    private const string Redownload = "download it again, or, if you made it, make it again";

    /// <summary>The error for a header cut off by the end of the file.</summary>
    public static SoraException Truncated(string origin, long claimed, long present, string part, string hint = Redownload) =>
        SoraException.Failed($"{origin}: cut off: its {part} should be {claimed} bytes, but only {present} are there", hint);

    private static (string What, string Hint)? ForeignFormat(ReadOnlySpan<byte> start)
    {
        if (start.StartsWith("version "u8))
            return ("a Git LFS pointer, not the file itself", "run `git lfs pull` in the repository that it came from");
        if (
            start.StartsWith("<!DOCT"u8)
            || start.StartsWith("<!doct"u8)
            || start.StartsWith("<html"u8)
            || start.StartsWith("<HTML"u8)
            || start.StartsWith("<?xml"u8)
        )
            return ("a web page, not a safetensors file: the download returned an error page", "download it again; it may need a login");
        if (start.StartsWith("GGUF"u8))
            return ("a GGUF file, not a safetensors file", "rename it to .gguf");
        if (start.StartsWith("PK\x03\x04"u8))
            return ("a zip archive (a PyTorch .pt or .pth file?), not a safetensors file", "get the model in the safetensors format");
        return null;
    }

    /// <summary>Parses the JSON part.</summary>
    /// <exception cref="SoraException">It is not valid; the message says where and why.</exception>
    public static SafeTensorsHeader Parse(ReadOnlySpan<byte> json, string origin)
    {
        try
        {
            var header = ParseObject(json);
            header.CheckTiling();
            return header;
        }
        catch (JsonException fault)
        {
            throw Bad(origin, fault.Message, fault);
        }
        catch (InvalidOperationException fault)
        {
            // Utf8JsonReader.GetString on bytes that are not UTF-8, or on half a surrogate pair.
            throw Bad(origin, "its header contains text that is not valid UTF-8", fault);
        }
    }

    private static SoraException Bad(string origin, string reason, Exception inner) =>
        SoraException.Failed(
            $"{origin}: bad safetensors header: {reason.ReplaceLineEndings(" ")}",
            "the file is damaged, or was written by a faulty program",
            inner
        );

    private static SafeTensorsHeader ParseObject(ReadOnlySpan<byte> json)
    {
        if (json.IsEmpty || json[0] != (byte)'{')
            throw new JsonException("it does not begin with '{'");
        Dictionary<string, string>? metadata = null;
        var tensors = new List<TensorInfo>();
        var names = new HashSet<string>();
        var reader = new Utf8JsonReader(json);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            if (!names.Add(name))
                throw new JsonException($"'{Short(name)}' appears twice");
            reader.Read();
            if (name == MetadataKey)
                metadata = ParseMetadata(ref reader);
            else
                tensors.Add(ParseTensor(ref reader, name));
        }
        if (reader.Read())
            throw new JsonException("there is text after it");
        return new SafeTensorsHeader(metadata ?? [], tensors);
    }

    private static Dictionary<string, string> ParseMetadata(ref Utf8JsonReader reader)
    {
        var metadata = new Dictionary<string, string>();
        if (reader.TokenType == JsonTokenType.Null)
            return metadata;
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException("its metadata is not an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw new JsonException($"metadata '{Short(key)}' is not text");
            metadata[key] = reader.GetString()!;
        }
        return metadata;
    }

    private static TensorInfo ParseTensor(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException($"'{Short(name)}' is not an object");
        DType? type = null;
        long[]? shape = null,
            place = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var field = reader.GetString();
            reader.Read();
            switch (field)
            {
                case "dtype" when type == null:
                    type = ParseType(ref reader, name);
                    break;
                case "shape" when shape == null:
                    shape = ParseSizes(ref reader, name, field);
                    break;
                case "data_offsets" when place == null:
                    place = ParseSizes(ref reader, name, field);
                    break;
                case "dtype" or "shape" or "data_offsets":
                    throw new JsonException($"'{Short(name)}' has {field} twice");
                default:
                    reader.Skip();
                    break;
            }
        }
        if (type == null || shape == null || place == null)
            throw new JsonException($"'{Short(name)}' lacks {(type == null ? "dtype" : shape == null ? "shape" : "data_offsets")}");
        if (place.Length != 2)
            throw new JsonException($"'{Short(name)}' has {place.Length} data_offsets, not 2");
        if (place[0] > place[1])
            throw new JsonException($"'{Short(name)}' ends before it begins");
        var bytes = place[1] - place[0];
        if (StoredBytes(type.Value, shape) != (ulong)bytes)
            throw new JsonException($"'{Short(name)}', {type.Value.Name()} {Shapes.Text(shape)}, does not fit its {bytes} bytes");
        return new TensorInfo(name, type.Value, shape, place[0], bytes);
    }

    private static DType ParseType(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.String)
            throw new JsonException($"the dtype of '{Short(name)}' is not text");
        var text = reader.GetString()!;
        return DTypes.Parse(text) ?? throw new JsonException($"'{Short(name)}' has dtype '{Short(text)}', which is unknown");
    }

    private static long[] ParseSizes(ref Utf8JsonReader reader, string name, string field)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException($"{field} of '{Short(name)}' is not an array");
        var sizes = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetUInt64(out var size) || size > long.MaxValue)
                throw new JsonException($"{field} of '{Short(name)}' contains something other than non-negative integers");
            sizes.Add((long)size);
        }
        return [.. sizes];
    }

    /// <summary>In unsigned 64 bits, multiplied in order: an overflow is an error even where a later size is 0.</summary>
    private static ulong? StoredBytes(DType type, long[] shape)
    {
        var bytes = (UInt128)1;
        foreach (var size in shape)
        {
            bytes *= (ulong)size;
            if (bytes > ulong.MaxValue)
                return null;
        }
        bytes *= (ulong)type.BlockBytes();
        return bytes > ulong.MaxValue ? null : (ulong)bytes;
    }

    private void CheckTiling()
    {
        var end = 0L;
        foreach (var tensor in Tensors)
        {
            if (tensor.Offset != end)
            {
                var fault = tensor.Offset < end ? "overlaps the tensor before it" : "does not begin where the tensor before it ends";
                throw new JsonException($"'{Short(tensor.Name)}' {fault}");
            }
            end = tensor.Offset + tensor.Bytes;
        }
    }

    private static string Short(string name)
    {
        var text = name.Length <= 60 ? name : name[..57] + "...";
        return string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
    }

    /// <summary>Length word and JSON, padded with spaces so that the data begins at a multiple of eight.</summary>
    public static byte[] Serialise(IReadOnlyDictionary<string, string> metadata, IEnumerable<TensorInfo> tensors)
    {
        using var buffer = new MemoryStream();
        buffer.Write(new byte[LengthBytes]);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(MetadataKey);
                foreach (var (key, value) in metadata)
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            foreach (var tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.DType.Name());
                json.WriteStartArray("shape");
                foreach (var size in tensor.Shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(tensor.Offset);
                json.WriteNumberValue(tensor.Offset + tensor.Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        var bytes = buffer.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)(bytes.Length - LengthBytes));
        return bytes;
    }
}
