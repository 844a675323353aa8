using Xunit;

namespace Sora.Tests.Training;

/// <summary>Tests that change how many threads tensor work has, on which the last bits of others depend.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
