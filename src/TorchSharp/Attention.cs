namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            /// <summary>Queries whose scores are held at a time where the kernel does not apply.</summary>
            private const long QueryBlock = 256;

            /// <summary>
            /// softmax(query key' / sqrt(d) + mask) value, for <c>[…, L, d]</c> queries and <c>[…, S, d]</c> keys. On the
            /// CPU the plain form runs in a kernel of our own (Native/attention_kernel.cpp), which never holds the L x S
            /// scores; other forms are composed of operators, a block of queries at a time.
            /// </summary>
            public static Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value,
                Tensor? attn_mask = null, double p = 0, bool is_casual = false)
            {
                if (p < 0) throw new ArgumentException("Dropout probability must be greater than or equal to zero.");
                if (is_casual && attn_mask is not null)
                    throw new ArgumentException("Casual attention masking cannot pass a mask.");
                using var scope = NewDisposeScope();
                var result = attn_mask is null && p == 0 && !is_casual ? Fused(query, key, value) : null;
                result ??= Composed(query, key, value, attn_mask, p, is_casual);
                return result.MoveToOuterDisposeScope();
            }

            private static Tensor? Fused(Tensor query, Tensor key, Tensor value)
            {
                if (!query.is_cpu() || !query.is_floating_point() || query.dtype == ScalarType.Float64) return null;
                if (query.dim() == 3)
                    return Fused(query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0))?.squeeze(0);
                if (query.dtype == key.dtype && query.dtype == value.dtype && query.dtype != ScalarType.Float32)
                    return Fused(query.@float(), key.@float(), value.@float())?.to_type(query.dtype);
                Native.Check(Native.shim_attention(query.Handle, key.Handle, value.Handle, out var result));
                GC.KeepAlive(query);
                GC.KeepAlive(key);
                GC.KeepAlive(value);
                return result == 0 ? null : new Tensor(result);
            }

            private static Tensor Composed(Tensor query, Tensor key, Tensor value, Tensor? mask, double p, bool causal)
            {
                var scale = 1 / Math.Sqrt(query.size(-1));
                var keys = key.transpose(-2, -1);
                long queries = query.size(-2), count = key.size(-2);
                if (causal) mask = ones([queries, count], ScalarType.Bool, query.device).tril();
                var blocks = new List<Tensor>();
                for (long start = 0; start < queries; start += QueryBlock)
                {
                    using var scope = NewDisposeScope();
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
                return blocks.Count == 1 ? blocks[0] : cat(blocks, -2);
            }
        }
    }
}
