namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        public static unsafe IList<Tensor> grad(IList<Tensor> outputs, IList<Tensor> inputs,
            IList<Tensor>? grad_outputs = null, bool retain_graph = false, bool create_graph = false,
            bool allow_unused = false)
        {
            var found = new nint[inputs.Count];
            nint[] outs = Handles(outputs), ins = Handles(inputs), grads = Handles(grad_outputs);
            fixed (nint* o = outs, i = ins, g = grads, r = found)
            {
                Native.Check(Native.shim_autograd_grad(o, outs.Length, i, ins.Length, g, grads.Length,
                    retain_graph ? 1 : 0, create_graph ? 1 : 0, allow_unused ? 1 : 0, r));
            }
            GC.KeepAlive(outputs);
            GC.KeepAlive(inputs);
            GC.KeepAlive(grad_outputs);
            return found.Select(handle => new Tensor(handle)).ToList();
        }

        public static unsafe void backward(IList<Tensor> tensors, IList<Tensor>? grad_tensors = null,
            bool? retain_graph = null, bool create_graph = false, IList<Tensor>? inputs = null)
        {
            nint[] ts = Handles(tensors), grads = Handles(grad_tensors), ins = Handles(inputs);
            fixed (nint* t = ts, g = grads, i = ins)
            {
                Native.Check(Native.shim_backward(t, ts.Length, g, grads.Length,
                    retain_graph ?? create_graph ? 1 : 0, create_graph ? 1 : 0, i, ins.Length));
            }
            GC.KeepAlive(tensors);
            GC.KeepAlive(grad_tensors);
            GC.KeepAlive(inputs);
        }

        public static void backward(Tensor tensor, IList<Tensor>? grad_tensors = null, bool? retain_graph = null,
            bool create_graph = false, IList<Tensor>? inputs = null) =>
            backward([tensor], grad_tensors, retain_graph, create_graph, inputs);

        public static void backward(Tensor tensor, Tensor grad_tensor, bool? retain_graph = null,
            bool create_graph = false, IList<Tensor>? inputs = null) =>
            backward([tensor], [grad_tensor], retain_graph, create_graph, inputs);

        private static nint[] Handles(IList<Tensor>? tensors) => tensors?.Select(t => t.Handle).ToArray() ?? [];
    }

    public static bool is_grad_enabled() => Native.shim_grad_mode() != 0;

    public static bool is_inference_mode_enabled() => Native.shim_inference_mode() != 0;

    public static IDisposable no_grad() => new GradMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);

    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    /// <summary>Sets whether this thread records gradients, until disposed.</summary>
    private sealed class GradMode : IDisposable
    {
        private readonly int before = Native.shim_grad_mode();

        public GradMode(bool enabled) => Native.shim_set_grad_mode(enabled ? 1 : 0);

        public void Dispose() => Native.shim_set_grad_mode(before);
    }

    private sealed class InferenceMode(bool mode) : IDisposable
    {
        private nint guard = Native.shim_enter_inference_mode(mode ? 1 : 0);

        public void Dispose()
        {
            if (guard != 0) Native.shim_leave_inference_mode(guard);
            guard = 0;
        }
    }
}
