using Sora.Models.Text;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>Captions as a transformer in training sees them.</summary>
internal static class CaptionRows
{
    /// <summary>The text context <c>[B, length, D]</c> of captions: real rows from the encoder, zeros after them.</summary>
    public static Tensor Encode(this T5Encoder encoder, Tokenizer tokenizer, IReadOnlyList<string> captions, int length)
    {
        var padded = captions.Select(c => tokenizer.EncodePadded(c, length)).ToArray();
        var ids = tensor(padded.SelectMany(p => p.Ids.Select(i => (long)i)).ToArray(), [captions.Count, length]);
        var mask = tensor(padded.SelectMany(p => p.Mask.Select(m => (long)m)).ToArray(), [captions.Count, length]);
        return encoder.Forward(ids, mask) * mask.unsqueeze(-1).to(ScalarType.Float32);
    }
}
