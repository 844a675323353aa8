namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor T => Aten.Call("numpy_T", this);
        public Tensor mT => Aten.Call("mT", this);

        public Tensor alias() => Aten.Call("alias", this);
        public Tensor clone() => Aten.Call("clone", this);
        public Tensor contiguous() => Aten.Call("contiguous", this);
        public Tensor detach() => Aten.Call("detach", this);
        public Tensor detach_() => Aten.InPlace("detach_", this);
        public Tensor copy_(Tensor source, bool nonBlocking = false) => Aten.InPlace("copy_", this, source, nonBlocking);
        public Tensor set_(Tensor source) => Aten.InPlace("set_.source_Tensor", this, source);
        public Tensor fill_(Scalar value) => Aten.InPlace("fill_.Scalar", this, value);
        public Tensor zero_() => Aten.InPlace("zero_", this);

        public Tensor view(params long[] shape) => Aten.Call("view", this, shape);
        public Tensor view_as(Tensor other) => view(other.shape);

        public Tensor view_as_complex() => Aten.Call("view_as_complex", this);

        public Tensor view_as_real() => Aten.Call("view_as_real", this);
        public Tensor reshape(params long[] shape) => Aten.Call("reshape", this, shape);
        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Aten.Call("flatten.using_ints", this, start_dim, end_dim);
        public Tensor unflatten(long dim, params long[] sizes)
        {
            var shape = this.shape;
            var at = Wrap(dim);
            return view([.. shape[..at], .. sizes, .. shape[(at + 1)..]]);
        }
        public Tensor ravel() => Aten.Call("ravel", this);
        public Tensor as_strided(long[] size, long[] strides, long storageOffset = 0) => Aten.Call("as_strided", this, size, strides, storageOffset);
        public Tensor permute(params long[] permutation) => Aten.Call("permute", this, permutation);
        public Tensor permute(IEnumerable<long> permutation) => permute(permutation.ToArray());
        public Tensor transpose(long dim0, long dim1) => Aten.Call("transpose.int", this, dim0, dim1);
        public Tensor transpose_(long dim0, long dim1) => Aten.InPlace("transpose_", this, dim0, dim1);
        public Tensor swapaxes(long dim0, long dim1) => transpose(dim0, dim1);
        public Tensor swapdims(long dim0, long dim1) => transpose(dim0, dim1);
        public Tensor t() => Aten.Call("t", this);
        public Tensor movedim(long[] source, long[] destination) => Aten.Call("movedim.intlist", this, source, destination);
        public Tensor moveaxis(long[] source, long[] destination) => movedim(source, destination);
        public Tensor unsqueeze(long dim) => Aten.Call("unsqueeze", this, dim);
        public Tensor unsqueeze_(long dim) => Aten.InPlace("unsqueeze_", this, dim);
        public Tensor squeeze(long? dim = null) => dim is { } d ? Aten.Call("squeeze.dim", this, d) : Aten.Call("squeeze", this);
        public Tensor squeeze_(long? dim = null) => dim is { } d ? Aten.InPlace("squeeze_.dim", this, d) : Aten.InPlace("squeeze_", this);
        public Tensor expand(params long[] sizes) => Aten.Call("expand", this, sizes);
        public Tensor expand(long[] sizes, bool isImplicit = false) => Aten.Call("expand", this, sizes, isImplicit);
        public Tensor expand_as(Tensor other) => expand(other.shape);
        public Tensor broadcast_to(params long[] shape) => Aten.Call("broadcast_to", this, shape);
        public Tensor repeat(params long[] sizes) => Aten.Call("repeat", this, sizes);
        public Tensor tile(long[] reps) => Aten.Call("tile", this, reps);
        public Tensor repeat_interleave(long repeats, long? dim = null, long? output_size = null) =>
            Aten.Call("repeat_interleave.self_int", this, repeats, dim, output_size);
        public Tensor repeat_interleave(Tensor repeats, long? dim = null, long? output_size = null) =>
            Aten.Call("repeat_interleave.self_Tensor", this, repeats, dim, output_size);
        public Tensor flip(params long[] dims) => Aten.Call("flip", this, dims);
        public Tensor fliplr() => Aten.Call("fliplr", this);
        public Tensor flipud() => Aten.Call("flipud", this);
        public Tensor roll(long shifts, long? dims = null) => roll([shifts], dims is { } d ? [d] : []);
        public Tensor roll(long[] shifts) => roll(shifts, []);
        public Tensor roll(long[] shifts, long[] dims) => Aten.Call("roll", this, shifts, dims);
        public Tensor roll((long, long) shifts, (long, long) dims) => roll([shifts.Item1, shifts.Item2], [dims.Item1, dims.Item2]);
        public Tensor rot90(long k = 1, (long, long)? dims = null) =>
            Aten.Call("rot90", this, k, dims is { } d ? [d.Item1, d.Item2] : new long[] { 0, 1 });
        public Tensor diag(long diagonal = 0) => Aten.Call("diag", this, diagonal);
        public Tensor diagonal(long offset = 0, long dim1 = 0, long dim2 = 1) => Aten.Call("diagonal", this, offset, dim1, dim2);
        public Tensor diag_embed(long offset = 0, long dim1 = -2, long dim2 = -1) => Aten.Call("diag_embed", this, offset, dim1, dim2);
        public Tensor tril(long diagonal = 0) => Aten.Call("tril", this, diagonal);
        public Tensor tril_(long diagonal = 0) => Aten.InPlace("tril_", this, diagonal);
        public Tensor triu(long diagonal = 0) => Aten.Call("triu", this, diagonal);
        public Tensor triu_(long diagonal = 0) => Aten.InPlace("triu_", this, diagonal);
        public Tensor unfold(long dimension, long size, long step) => Aten.Call("unfold", this, dimension, size, step);

        public Tensor narrow(long dim, long start, long length) => Aten.Call("narrow", this, dim, start, length);
        public Tensor select(long dim, long index) => Aten.Call("select.int", this, dim, index);
        public Tensor slice(long dim, long start, long finish, long step) => Aten.Call("slice.Tensor", this, dim, start, finish, step);
        public Tensor slice_scatter(Tensor src, long dim = 0, long? start = null, long? end = null, long step = 1) =>
            Aten.Call("slice_scatter", this, src, dim, start, end, step);
        public Tensor select_scatter(Tensor src, long dim, long index) => Aten.Call("select_scatter", this, src, dim, index);
        public Tensor index_select(long dim, Tensor index) => Aten.Call("index_select", this, dim, index);
        public Tensor index_add(long dim, Tensor index, Tensor source, Scalar alpha) => Aten.Call("index_add", this, dim, index, source, alpha);
        public Tensor index_add_(long dim, Tensor index, Tensor source, Scalar alpha) => Aten.InPlace("index_add_", this, dim, index, source, alpha);
        public Tensor index_copy(long dim, Tensor index, Tensor source) => Aten.Call("index_copy", this, dim, index, source);
        public Tensor index_copy_(long dim, Tensor index, Tensor source) => Aten.InPlace("index_copy_", this, dim, index, source);
        public Tensor index_fill(long dim, Tensor index, Scalar value) => Aten.Call("index_fill.int_Scalar", this, dim, index, value);
        public Tensor index_fill_(long dim, Tensor index, Scalar value) => Aten.InPlace("index_fill_.int_Scalar", this, dim, index, value);
        public Tensor gather(long dim, Tensor index) => Aten.Call("gather", this, dim, index);
        public Tensor scatter(long dim, Tensor index, Tensor src) => Aten.Call("scatter.src", this, dim, index, src);
        public Tensor scatter_(long dim, Tensor index, Tensor src) => Aten.InPlace("scatter_.src", this, dim, index, src);
        public Tensor scatter_add(long dim, Tensor index, Tensor src) => Aten.Call("scatter_add", this, dim, index, src);
        public Tensor scatter_add_(long dim, Tensor index, Tensor src) => Aten.InPlace("scatter_add_", this, dim, index, src);
        public Tensor take(Tensor index) => Aten.Call("take", this, index);
        public Tensor take_along_dim(Tensor indices) => Aten.Call("take_along_dim", this, indices);
        public Tensor take_along_dim(Tensor indices, long dim) => Aten.Call("take_along_dim", this, indices, dim);
        public Tensor masked_fill(Tensor mask, Scalar value) => Aten.Call("masked_fill.Scalar", this, mask, value);
        public Tensor masked_fill_(Tensor mask, Scalar value) => Aten.InPlace("masked_fill_.Scalar", this, mask, value);
        public Tensor masked_select(Tensor mask) => Aten.Call("masked_select", this, mask);
        public Tensor masked_scatter(Tensor mask, Tensor value) => Aten.Call("masked_scatter", this, mask, value);
        public Tensor masked_scatter_(Tensor mask, Tensor value) => Aten.InPlace("masked_scatter_", this, mask, value);
        public Tensor where(Tensor condition, Tensor y) => Aten.Call("where.self", condition, this, y);
        public Tensor nonzero() => Aten.Call("nonzero", this);
        public Tensor argwhere() => Aten.Call("argwhere", this);

        public Tensor[] chunk(long chunks, long dim = 0) => Aten.CallMany("chunk", this, chunks, dim);
        public Tensor[] split(long size, int dim = 0) => Aten.CallMany("split.Tensor", this, size, (long)dim);
        public Tensor[] split(long[] sizes, long dim = 0) => Aten.CallMany("split_with_sizes", this, sizes, dim);
        public Tensor[] split(params long[] sizes) => split(sizes, 0L);
        public Tensor[] tensor_split(long size, long dim = 0) => Aten.CallMany("tensor_split.sections", this, size, dim);
        public Tensor[] tensor_split(long[] sizes, long dim = 0) => Aten.CallMany("tensor_split.indices", this, sizes, dim);
        public Tensor[] unbind(long dimension = 0) => Aten.CallMany("unbind.int", this, dimension);
    }
}
