namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        public Tensor this[params long[] indices]
        {
            get => index(Singles(indices));
            set => index_put_(value, Singles(indices));
        }

        public Tensor this[long i1]
        {
            get => index(TensorIndex.Single(i1));
            set => index_put_(value, TensorIndex.Single(i1));
        }

        public Tensor this[long i1, long i2]
        {
            get => this[new[] { i1, i2 }];
            set => this[new[] { i1, i2 }] = value;
        }

        public Tensor this[long i1, long i2, long i3]
        {
            get => this[new[] { i1, i2, i3 }];
            set => this[new[] { i1, i2, i3 }] = value;
        }

        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => this[new[] { i1, i2, i3, i4 }];
            set => this[new[] { i1, i2, i3, i4 }] = value;
        }

        public Tensor this[long i1, long i2, long i3, long i4, long i5]
        {
            get => this[new[] { i1, i2, i3, i4, i5 }];
            set => this[new[] { i1, i2, i3, i4, i5 }] = value;
        }

        public Tensor this[long i1, long i2, long i3, long i4, long i5, long i6]
        {
            get => this[new[] { i1, i2, i3, i4, i5, i6 }];
            set => this[new[] { i1, i2, i3, i4, i5, i6 }] = value;
        }

        public Tensor index(params Tensor[] indices) => index(Wrapped(indices));

        public Tensor index(params TensorIndex[] indices)
        {
            var (view, tensors) = Sliced(indices);
            if (tensors.Count == 0) return view;
            using (view) return Aten.Call("index.Tensor", view, Arg.Optional(tensors));
        }

        public Tensor index_put_(Tensor value, params Tensor[] indices) => index_put_(value, Wrapped(indices));

        public Tensor index_put_(Tensor value, Tensor[] indices, bool accumulate = false) =>
            index_put_(value, Wrapped(indices), accumulate);

        public Tensor index_put_(Tensor value, params TensorIndex[] indices) => index_put_(value, indices, false);

        public Tensor index_put_(Tensor value, TensorIndex[] indices, bool accumulate = false)
        {
            var (view, tensors) = Sliced(indices);
            using (view)
            {
                if (tensors.Count > 0) Aten.InPlace("index_put_", view, Arg.Optional(tensors), value, accumulate);
                else if (accumulate)
                    throw new ArgumentException("Invalid 'indices' parameter: accumulating takes index tensors", nameof(indices));
                else
                {
                    using var fitting = WithoutLeadingOnes(value, view.dim());
                    view.copy_(fitting);
                }
            }
            return this;
        }

        public Tensor index_put_(Scalar value, params Tensor[] indices) => index_put_(value, Wrapped(indices));

        public Tensor index_put_(Scalar value, params TensorIndex[] indices)
        {
            var (view, tensors) = Sliced(indices);
            using (view)
            {
                if (tensors.Count == 0)
                {
                    view.fill_(value);
                    return this;
                }
                using var filler = Aten.Call("scalar_tensor", value, dtype, Arg.None, Settled(device));
                Aten.InPlace("index_put_", view, Arg.Optional(tensors), filler, false);
            }
            return this;
        }

        /// <summary>
        /// Applies all indices but tensors as views, in the manner of Python's indexing; the tensors come back each at
        /// the dimension of the view that it indexes.
        /// </summary>
        private (Tensor View, List<Tensor?> Tensors) Sliced(TensorIndex[] indices)
        {
            var tensors = new List<Tensor?>();
            var view = alias();
            var dim = 0;
            foreach (var index in indices)
            {
                switch (index.kind)
                {
                    case TensorIndex.Kind.Single:
                        Step(ref view, view.select(dim, index.start ?? throw new ArgumentException("an index is missing", nameof(indices))));
                        break;
                    case TensorIndex.Kind.Slice:
                        if (index.start is not null || index.stop is not null || index.step is not null)
                            Step(ref view, Aten.Call("slice.Tensor", view, (long)dim, index.start, index.stop, index.step ?? 1));
                        dim++;
                        break;
                    case TensorIndex.Kind.Ellipsis:
                        dim += (int)(view.dim() - dim - Consumed(indices.SkipWhile(i => i.kind != TensorIndex.Kind.Ellipsis)));
                        break;
                    case TensorIndex.Kind.None:
                        Step(ref view, view.unsqueeze(dim++));
                        break;
                    case TensorIndex.Kind.Bool:
                        Step(ref view, view.unsqueeze(dim));
                        Put(tensors, dim++, torch.tensor(index.start != 0, device: device));
                        break;
                    case TensorIndex.Kind.Tensor:
                        var tensor = index.tensor!;
                        if (tensor.dtype is ScalarType.Int32 or ScalarType.Int16 or ScalarType.Int8)
                            tensor = tensor.to_type(ScalarType.Int64);
                        Put(tensors, dim++, tensor);
                        break;
                }
            }
            return (view, tensors);
        }

        /// <summary>How many dimensions the indices after an ellipsis take up.</summary>
        private static long Consumed(IEnumerable<TensorIndex> indices) => indices.Sum(index => index.kind switch
        {
            TensorIndex.Kind.Single or TensorIndex.Kind.Slice => 1,
            TensorIndex.Kind.Tensor => index.tensor!.dtype is ScalarType.Bool or ScalarType.Byte ? index.tensor.dim() : 1,
            _ => 0,
        });

        private static void Put(List<Tensor?> tensors, int dim, Tensor tensor)
        {
            while (tensors.Count < dim) tensors.Add(null);
            tensors.Add(tensor);
        }

        private static void Step(ref Tensor view, Tensor next)
        {
            view.Dispose();
            view = next;
        }

        private static Tensor WithoutLeadingOnes(Tensor value, long dims)
        {
            var shape = value.shape;
            var skip = 0;
            while (shape.Length - skip > dims && shape[skip] == 1) skip++;
            return value.view(shape[skip..]);
        }

        private static TensorIndex[] Singles(long[] indices) => Array.ConvertAll(indices, i => TensorIndex.Single(i));

        private static TensorIndex[] Wrapped(Tensor[] indices) => Array.ConvertAll(indices, TensorIndex.Tensor);
    }

    /// <summary>One index of a tensor's indexer, as in Python's brackets.</summary>
    public struct TensorIndex
    {
        internal enum Kind { None, Single, Ellipsis, Bool, Tensor, Slice }

        internal Kind kind;
        internal long? start;
        internal long? stop;
        internal long? step;
        internal Tensor? tensor;

        public static TensorIndex Ellipsis = new() { kind = Kind.Ellipsis };

        public static TensorIndex None = new() { kind = Kind.None };

        public static TensorIndex Null = new() { kind = Kind.None };

        public static TensorIndex Colon = Slice();

        public static TensorIndex Slice(long? start = null, long? stop = null, long? step = null) =>
            new() { kind = Kind.Slice, start = start, stop = stop, step = step };

        public static TensorIndex Slice((int? start, int? end) range) => Slice((long?)range.start, range.end);

        public static TensorIndex Slice(Range range)
        {
            long? start = range.Start.IsFromEnd ? -range.Start.Value : range.Start.Value;
            long? end = !range.End.IsFromEnd ? range.End.Value : range.End.Value == 0 ? null : -range.End.Value;
            return Slice(start, end);
        }

        public static TensorIndex Bool(bool value) => new() { kind = Kind.Bool, start = value ? 1 : 0 };

        public static TensorIndex Single(long? index) => new() { kind = Kind.Single, start = index };

        public static TensorIndex Tensor(Tensor tensor) => new() { kind = Kind.Tensor, tensor = tensor };

        public static implicit operator TensorIndex(long value) => Single(value);

        public static implicit operator TensorIndex((int? start, int? end) range) => Slice(range);

        public static implicit operator TensorIndex(Range range) => Slice(range);

        public static implicit operator TensorIndex(Index index) => Single(index.IsFromEnd ? -index.Value : index.Value);
    }
}
