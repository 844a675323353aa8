namespace TorchSharp;

public static partial class torch
{
    public enum RoundingMode
    {
        None = 0,
        trunc = 1,
        floor = 2,
    }

    public static Tensor cat(Tensor[] tensors, long dim = 0) => Aten.Call("cat", tensors, dim);

    public static Tensor cat(IList<Tensor> tensors, long dim = 0) => cat(tensors.ToArray(), dim);

    public static Tensor cat(ReadOnlySpan<Tensor> tensors, long dim = 0) => cat(tensors.ToArray(), dim);

    public static Tensor concat(Tensor[] tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concat(IList<Tensor> tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor stack(IEnumerable<Tensor> tensors, long dim = 0) => Aten.Call("stack", tensors.ToArray(), dim);

    public static Tensor hstack(params Tensor[] tensors) => Aten.Call("hstack", tensors);

    public static Tensor hstack(IList<Tensor> tensors) => hstack(tensors.ToArray());

    public static Tensor vstack(Tensor[] tensors) => Aten.Call("vstack", tensors);

    public static Tensor vstack(IList<Tensor> tensors) => vstack(tensors.ToArray());

    public static Tensor where(Tensor condition, Tensor x, Tensor y) => x.where(condition, y);

    public static Tensor[] where(Tensor condition) => Aten.CallMany("where", condition);

    public static Tensor einsum(string equation, params Tensor[] tensors) => Aten.Call("einsum", equation, tensors);

    public static Tensor[] meshgrid(IEnumerable<Tensor> tensors, string indexing = "ij") =>
        Aten.CallMany("meshgrid.indexing", tensors.ToArray(), indexing);

    public static IList<Tensor> broadcast_tensors(params Tensor[] tensors) => Aten.CallMany("broadcast_tensors", tensors);

    public static Tensor block_diag(params Tensor[] tensors) => Aten.Call("block_diag", tensors);

    public static Tensor movedim(Tensor input, long source, long destination) => input.movedim([source], [destination]);

    public static Tensor moveaxis(Tensor input, long source, long destination) => input.movedim([source], [destination]);

    public static Tensor norm(Tensor input) => input.norm();

    public static Tensor[] split(Tensor tensor, long[] split_size_or_sections, long dim = 0) =>
        tensor.split(split_size_or_sections, dim);

    public static Tensor[] unbind(Tensor input, long dim = 0) => input.unbind(dim);

    public static Tensor[] unbind(Tensor tensor, int dim = 0) => tensor.unbind(dim);

    public static Tensor searchsorted(Tensor sorted_sequence, Tensor values, bool out_int32 = false, bool right = false,
        Tensor? sorter = null) =>
        Aten.Call("searchsorted.Tensor", sorted_sequence, values, out_int32, right, Arg.None, sorter);

    public static Tensor bucketize(Tensor input, Tensor boundaries, bool outInt32 = false, bool right = false) =>
        Aten.Call("bucketize.Tensor", input, boundaries, outInt32, right);

    public static class linalg
    {
        public static Tensor cross(Tensor input, Tensor other, long dim = -1) => Aten.Call("linalg_cross", input, other, dim);

        public static Tensor det(Tensor input) => Aten.Call("linalg_det", input);

        public static Tensor inv(Tensor input) => Aten.Call("linalg_inv", input);

        public static Tensor solve(Tensor A, Tensor B, bool left = true) => Aten.Call("linalg_solve", A, B, left);

        public static Tensor cholesky(Tensor input) => Aten.Call("linalg_cholesky", input);

        public static (Tensor, Tensor) eigh(Tensor input, char UPLO = 'L') => Aten.CallPair("linalg_eigh", input, UPLO.ToString());

        public static Tensor eigvalsh(Tensor input, char UPLO = 'L') => Aten.Call("linalg_eigvalsh", input, UPLO.ToString());

        public static (Tensor U, Tensor S, Tensor Vh) svd(Tensor input, bool fullMatrices = true) =>
            Aten.CallTriple("linalg_svd", input, fullMatrices);

        public static Tensor svdvals(Tensor input) => Aten.Call("linalg_svdvals", input);

        public static Tensor matrix_exp(Tensor input) => Aten.Call("linalg_matrix_exp", input);

        public static Tensor norm(Tensor input, long[]? dims = null, bool keepdim = false) =>
            Aten.Call("linalg_norm", input, Arg.None, dims, keepdim);

        public static Tensor norm(Tensor input, double ord, long[]? dims = null, bool keepdim = false) =>
            Aten.Call("linalg_norm", input, ord, dims, keepdim);

        public static Tensor norm(Tensor input, int ord, long[]? dims = null, bool keepdim = false) =>
            Aten.Call("linalg_norm", input, (long)ord, dims, keepdim);

        public static Tensor vector_norm(Tensor input, double ord = 2, long[]? dims = null, bool keepdim = false) =>
            Aten.Call("linalg_vector_norm", input, ord, dims, keepdim);
    }
}
