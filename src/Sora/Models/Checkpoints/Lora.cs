using System.Numerics;
using System.Runtime.InteropServices;
using Sora.Nn;
using Sora.Tensors;

namespace Sora.Models.Checkpoints;

/// <summary>
/// Low-rank changes of a model's linear layers (https://arxiv.org/abs/2106.09685), merged into the weights as they are
/// read: W' = W + w (alpha / rank) B A, where A (down) is [rank, in], B (up) is [out, rank] and w is the user's weight.
/// Weights that stay in memory are read once. Those of blocks that stay in their files, quantised or not, are merged each
/// time the block is read: the product costs as much as rank more tokens would in that layer, and a pass has thousands of
/// them; a separate branch beside the layer would cost every token 2 rank / width more.
/// </summary>
public static class Lora
{
    /// <summary>A transformer with LoRAs merged into it; several add up.</summary>
    /// <param name="model">Under diffusers' names; disposed with the result.</param>
    /// <param name="loras">Files and weights.</param>
    /// <param name="reporter">Told which tensors were left out.</param>
    /// <exception cref="SoraException">A file is no LoRA, does not fit the model, or lacks half of a pair.</exception>
    public static TensorSource Merge(TensorSource model, IReadOnlyList<LoraOption> loras, Reporter reporter)
    {
        if (loras.Count == 0)
            return model;
        var merged = new LoraTensors(model);
        try
        {
            foreach (var option in loras)
                Add(merged, model, option, reporter);
            return merged;
        }
        catch
        {
            merged.DisposeFiles();
            throw;
        }
    }

    private static void Add(LoraTensors merged, TensorSource model, LoraOption option, Reporter reporter)
    {
        var file = LoraFile.Open(option.Path, model);
        merged.Own(file);
        var norms = new List<string>();
        foreach (var (name, module) in file.Modules)
        {
            var weight = model.Info(name + ".weight");
            // As in diffusers, whole differences of norms and convolutions are left out.
            if (weight.Shape.Length == 2 || module.Down != null)
                AddModule(merged, file, name, module, option);
            else
                norms.AddRange(new[] { module.Weight, module.Bias }.OfType<string>());
        }
        Name(file.Unmatched, "match nothing in the model and are ignored");
        Name(norms, "replace whole norms or convolutions and are ignored");

        void Name(IReadOnlyList<string> left, string why)
        {
            if (left.Count > 0)
                reporter.Warn(
                    $"{option.Path}: {left.Count} of {file.Tensors.Tensors.Count} tensors {why}: "
                        + NameList.Text(left.Select(LoraFile.WithoutSuffix))
                );
        }
    }

    private static void AddModule(LoraTensors merged, LoraFile file, string name, LoraModule module, LoraOption option)
    {
        if ((module.Down == null) != (module.Up == null))
            throw SoraException.Damaged($"{option.Path}: '{name}' has only one half of its pair, {module.Down ?? module.Up}");
        var strength = option.Weight;
        if (module.Down != null)
        {
            strength *= file.Scale(name, module);
            merged.Add(name + ".weight", new LowRank(file.Tensors, module.Down, module.Up!, (float)strength));
        }
        if (module.UpBias != null)
            merged.Add(name + ".bias", new Difference(file.Tensors, module.UpBias, (float)strength));
        if (module.Weight != null)
            merged.Add(name + ".weight", new Difference(file.Tensors, module.Weight, (float)option.Weight));
        if (module.Bias != null)
            merged.Add(name + ".bias", new Difference(file.Tensors, module.Bias, (float)option.Weight));
    }

    /// <summary>Something that is added to a tensor.</summary>
    private abstract class Change(TensorSource lora)
    {
        protected TensorSource Lora => lora;

        /// <exception cref="SoraException">The shapes differ.</exception>
        public abstract void Check(TensorInfo target);

        public abstract void AddTo(Span<float> values, long first, TensorInfo target);

        /// <summary>This file is at fault, not the model's that it is merged with.</summary>
        protected void RequireFinite(string name, ReadOnlySpan<float> values)
        {
            foreach (var value in values)
                if (!float.IsFinite(value))
                    throw Weights.NoNumbers(lora.Origin, name);
        }

        protected SoraException DoesNotFit(TensorInfo target, string found) =>
            SoraException.Failed(
                $"{lora.Origin}: does not fit the model: {found} for '{target.Name}', which is {Shapes.Text(target.Shape)}",
                "the LoRA was made for another model"
            );
    }

    private sealed class LowRank(TensorSource lora, string down, string up, float scale) : Change(lora)
    {
        public override void Check(TensorInfo target)
        {
            var (a, b) = (Lora.Info(down), Lora.Info(up));
            var fits =
                a.Shape.Length >= 2
                && b.Shape.Length >= 2
                && a.Shape[0] > 0
                && b.Elements == target.Shape[0] * a.Shape[0]
                && b.Shape[0] == target.Shape[0]
                && a.Elements / a.Shape[0] == target.Elements / target.Shape[0];
            if (!fits)
                throw DoesNotFit(target, $"{Shapes.Text(b.Shape)} times {Shapes.Text(a.Shape)}");
        }

        public override void AddTo(Span<float> values, long first, TensorInfo target)
        {
            var (a, b) = (Lora.Floats(down), Lora.Floats(up));
            RequireFinite(down, a);
            RequireFinite(up, b);
            var columns = (int)(target.Elements / target.Shape[0]);
            var rank = a.Length / columns;
            for (var done = 0; done < values.Length; )
            {
                var (row, column) = ((int)((first + done) / columns), (int)((first + done) % columns));
                var part = values.Slice(done, Math.Min(values.Length - done, columns - column));
                AddRow(b.AsSpan(row * rank, rank), a.AsSpan(column), columns, part);
                done += part.Length;
            }
        }

        /// <summary>
        /// sum += scale (b A) for some columns of a row, four vectors at a time that stay in registers. Each element's
        /// terms are added in one order, whatever part of the row is requested.
        /// </summary>
        private void AddRow(ReadOnlySpan<float> b, ReadOnlySpan<float> a, int columns, Span<float> sum)
        {
            var width = Vector<float>.Count;
            ref var from = ref MemoryMarshal.GetReference(a);
            var i = 0;
            for (; i + 4 * width <= sum.Length; i += 4 * width)
            {
                var (s0, s1, s2, s3) = (Vector<float>.Zero, Vector<float>.Zero, Vector<float>.Zero, Vector<float>.Zero);
                for (var k = 0; k < b.Length; k++)
                {
                    var (factor, at) = (new Vector<float>(b[k]), (nuint)(k * columns + i));
                    s0 += factor * Vector.LoadUnsafe(ref from, at);
                    s1 += factor * Vector.LoadUnsafe(ref from, at + (nuint)width);
                    s2 += factor * Vector.LoadUnsafe(ref from, at + (nuint)(2 * width));
                    s3 += factor * Vector.LoadUnsafe(ref from, at + (nuint)(3 * width));
                }
                var wide = MemoryMarshal.Cast<float, Vector<float>>(sum.Slice(i, 4 * width));
                wide[0] += s0 * scale;
                wide[1] += s1 * scale;
                wide[2] += s2 * scale;
                wide[3] += s3 * scale;
            }
            for (; i < sum.Length; i++)
            {
                var product = 0f;
                for (var k = 0; k < b.Length; k++)
                    product += b[k] * a[k * columns + i];
                sum[i] += product * scale;
            }
        }
    }

    private sealed class Difference(TensorSource lora, string name, float scale) : Change(lora)
    {
        public override void Check(TensorInfo target)
        {
            if (Lora.Info(name).Elements != target.Elements)
                throw DoesNotFit(target, $"'{name}' is {Shapes.Text(Lora.Info(name).Shape)}");
        }

        public override void AddTo(Span<float> values, long first, TensorInfo target)
        {
            var part = new float[values.Length];
            Lora.ReadFloats(name, first, part);
            RequireFinite(name, part);
            MultiplyAdd(scale, part, values);
        }
    }

    /// <summary>sum += factor * values.</summary>
    private static void MultiplyAdd(float factor, ReadOnlySpan<float> values, Span<float> sum)
    {
        var wide = MemoryMarshal.Cast<float, Vector<float>>(values);
        var wideSum = MemoryMarshal.Cast<float, Vector<float>>(sum)[..wide.Length];
        for (var i = 0; i < wide.Length; i++)
            wideSum[i] += wide[i] * factor;
        for (var i = wide.Length * Vector<float>.Count; i < values.Length; i++)
            sum[i] += values[i] * factor;
    }

    private sealed class LoraTensors(TensorSource model) : TensorSource
    {
        private readonly Dictionary<string, List<Change>> changes = [];
        private readonly List<LoraFile> files = [];
        private readonly OrderedDictionary<string, TensorInfo> infos = new(model.Tensors);

        public override string Origin => model.Origin;

        public override IReadOnlyDictionary<string, string> Metadata => model.Metadata;

        public override IReadOnlyDictionary<string, TensorInfo> Tensors => infos;

        public override TensorInfo Stored(string name) => model.Stored(name);

        public override bool IsCompact => model.IsCompact;

        public void Own(LoraFile file) => files.Add(file);

        public void Add(string name, Change change)
        {
            var info = model.Info(name);
            change.Check(info);
            infos[name] = info with { DType = DType.F32, Bytes = info.Elements * sizeof(float) };
            if (!changes.TryGetValue(name, out var list))
                changes[name] = list = [];
            list.Add(change);
        }

        public override void Read(string name, long offset, Span<byte> destination)
        {
            if (changes.ContainsKey(name))
                ReadFloats(name, offset / sizeof(float), MemoryMarshal.Cast<byte, float>(destination));
            else
                model.Read(name, offset, destination);
        }

        public override void ReadFloats(string name, long first, Span<float> destination)
        {
            model.ReadFloats(name, first, destination);
            foreach (var change in changes.GetValueOrDefault(name, []))
                change.AddTo(destination, first, infos[name]);
        }

        public void DisposeFiles()
        {
            foreach (var file in files)
                file.Dispose();
        }

        protected override void Dispose(bool disposing)
        {
            if (!disposing)
                return;
            DisposeFiles();
            model.Dispose();
        }
    }
}
