using Xunit;

namespace Sora.Tests;

public class SoraExceptionTests
{
    [Theory]
    [InlineData(ErrorKind.Failure, 1)]
    [InlineData(ErrorKind.Usage, 2)]
    [InlineData(ErrorKind.Partial, 3)]
    [InlineData(ErrorKind.Interrupted, 130)]
    [InlineData(ErrorKind.BrokenPipe, 141)]
    public void KindIsTheExitStatus(ErrorKind kind, int status) => Assert.Equal(status, (int)kind);
}
