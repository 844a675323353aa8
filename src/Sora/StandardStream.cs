using System.Runtime.InteropServices;

namespace Sora;

/// <summary>
/// Standard input, output and error as the system's file descriptors. The console's own streams won't do: its output
/// hides that the reader went away, so a computation would go on for nobody; a read of its input can't be interrupted;
/// and a <see cref="FileStream"/> keeps a file position of its own, so that two programs that write into one redirected
/// file would overwrite each other.
/// </summary>
public static partial class StandardStream
{
    private const int Input = 0;
    private const int Output = 1;
    private const int Error = 2;

    /// <summary>Standard input; its reads throw <see cref="OperationCanceledException"/> once <paramref name="cancel"/> does.</summary>
    public static Stream OpenInput(CancellationToken cancel) => new DescriptorStream(Input, cancel);

    /// <summary>Standard output; a write throws <see cref="SoraException"/> (broken pipe) when nobody reads it.</summary>
    public static Stream OpenOutput() => new DescriptorStream(Output, default);

    /// <summary>Standard error.</summary>
    public static Stream OpenError() => new DescriptorStream(Error, default);

    /// <summary>The width of the terminal on standard error; null where it isn't one, or doesn't know its width.</summary>
    public static int? ErrorColumns() =>
        GetWindowSize(Error, WindowSizeRequest, out var size) == 0 && size.Columns > 0 ? size.Columns : null;

    /// <summary>Calls <paramref name="gone"/> once nobody reads standard output any more, until <paramref name="stop"/>.</summary>
    public static void WatchReader(Action gone, CancellationToken stop)
    {
        var thread = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                if ((Poll(Output, 0) & PollError) == 0)
                    continue;
                gone();
                return;
            }
        });
        thread.IsBackground = true;
        thread.Start();
    }

    /// <summary>A descriptor, read and written at its current position; it isn't closed.</summary>
    private sealed class DescriptorStream(int descriptor, CancellationToken cancel) : Stream
    {
        public override bool CanRead => descriptor == Input;

        public override bool CanWrite => descriptor != Input;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override unsafe int Read(Span<byte> buffer)
        {
            if (buffer.IsEmpty)
                return 0;
            do cancel.ThrowIfCancellationRequested();
            while (Poll(descriptor, PollReadable) == 0);
            fixed (byte* at = buffer)
            {
                nint count;
                do count = ReadBytes(descriptor, at, (nuint)buffer.Length);
                while (count < 0 && Marshal.GetLastPInvokeError() == Interrupted);
                return count >= 0 ? (int)count : throw Failure("standard input can't be read");
            }
        }

        public override unsafe void Write(ReadOnlySpan<byte> buffer)
        {
            fixed (byte* start = buffer)
            {
                for (var done = 0; done < buffer.Length; )
                {
                    var count = WriteBytes(descriptor, start + done, (nuint)(buffer.Length - done));
                    if (count >= 0)
                        done += (int)count;
                    else if (Marshal.GetLastPInvokeError() == TryAgain)
                        Poll(descriptor, PollWritable);
                    else if (Marshal.GetLastPInvokeError() != Interrupted)
                        throw Failure("standard output can't be written");
                }
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() { }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        private static SoraException Failure(string what)
        {
            var errno = Marshal.GetLastPInvokeError();
            return errno == BrokenPipe
                ? new SoraException(ErrorKind.BrokenPipe, "the reader of standard output went away")
                : SoraException.Failed($"{what}: {Marshal.GetPInvokeErrorMessage(errno)}");
        }
    }

    // Linux's numbers (errno.h, poll.h, ioctls.h).
    private const int Interrupted = 4;
    private const int TryAgain = 11;
    private const int BrokenPipe = 32;
    private const short PollReadable = 0x001;
    private const short PollWritable = 0x004;
    private const short PollError = 0x008;
    private const int PollMilliseconds = 200;
    private const nuint WindowSizeRequest = 0x5413;

    private static short Poll(int descriptor, short events)
    {
        var poll = new PollDescriptor { Descriptor = descriptor, Events = events };
        return Poll(ref poll, 1, PollMilliseconds) > 0 ? poll.Returned : (short)0;
    }

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollDescriptor descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static unsafe partial nint ReadBytes(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteBytes(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int GetWindowSize(int descriptor, nuint request, out WindowSize size);

    [StructLayout(LayoutKind.Sequential)]
    private struct WindowSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort PixelWidth;
        public ushort PixelHeight;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
