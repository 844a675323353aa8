using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Sora.Kernels;

namespace Sora.Tests;

internal static class Setup
{
    /// <summary>Tests call libtorch directly as well, which must be set up before.</summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "Nothing else runs before all tests.")]
    internal static void Start() => Libtorch.Start();
}
