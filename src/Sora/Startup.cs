using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Sora.Kernels;

namespace Sora;

/// <summary>What runs before anything else of this library.</summary>
internal static class Startup
{
    [ModuleInitializer]
    [SuppressMessage(
        "Usage",
        "CA2255",
        Justification = "Only this runs before libtorch loads, whichever part of the library is first to use it."
    )]
    internal static void Prepare() => Libtorch.Prepare();
}
