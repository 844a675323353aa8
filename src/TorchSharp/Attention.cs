namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            /// <summary>Queries whose scores are held at a time.</summary>
            private const long QueryBlock = 256;

            /// <summary>
            /// softmax(query key' / sqrt(d) + mask) value, for <c>[…, L, d]</c> queries and <c>[…, S, d]</c> keys. Scores
            /// are computed for a block of queries at a time, so that no L x S matrix is held unless gradients need it.
            /// </summary>
            public static Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value,
                Tensor? attn_mask = null, double p = 0, bool is_casual = false)
            {
                if (p < 0) throw new ArgumentException("Dropout probability must be greater than or equal to zero.");
                if (is_casual && attn_mask is not null)
                    throw new ArgumentException("Casual attention masking cannot pass a mask.");
                using var scope = NewDisposeScope();
                var scale = 1 / Math.Sqrt(query.size(-1));
                var keys = key.transpose(-2, -1);
                long queries = query.size(-2), count = key.size(-2);
                var causal = is_casual ? ones([queries, count], ScalarType.Bool, query.device).tril() : null;
                var mask = causal ?? attn_mask;
                var blocks = new List<Tensor>();
                for (long start = 0; start < queries; start += QueryBlock)
                {
                    using var block = NewDisposeScope();
                    var length = Math.Min(QueryBlock, queries - start);
                    var scores = query.narrow(-2, start, length).mul(scale).matmul(keys);
                    if (mask is not null)
                    {
                        var rows = mask.dim() < 2 || mask.size(-2) == 1 ? mask : mask.narrow(-2, start, length);
                        scores = mask.dtype == ScalarType.Bool
                            ? scores.masked_fill(rows.logical_not(), double.NegativeInfinity)
                            : scores.add(rows);
                    }
                    var weights = scores.softmax(-1);
                    if (p > 0) weights = dropout(weights, p);
                    blocks.Add(weights.matmul(value).MoveToOuterDisposeScope());
                }
                var result = blocks.Count == 1 ? blocks[0] : cat(blocks, -2);
                return result.MoveToOuterDisposeScope();
            }
        }
    }
}
