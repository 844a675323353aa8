using Sora.Models;
using Sora.Models.Mini;
using Sora.Models.Wan;

namespace Sora.Tests;

/// <summary>Models of a known family.</summary>
internal static class Opened
{
    public static WanModel Wan(string? path, PartPaths? parts = null) => (WanModel)VideoModel.Open(path, parts);

    public static MiniModel Mini(string? path) => (MiniModel)VideoModel.Open(path);
}
