namespace TorchSharp;

/// <summary>Owns the tensors made on its thread while it is the innermost scope, and disposes them with itself.</summary>
public sealed class DisposeScope : IDisposable
{
    private HashSet<IDisposable> owned = new(ReferenceEqualityComparer.Instance);
    private DisposeScopeManager? manager;

    internal DisposeScope(DisposeScopeManager manager)
    {
        this.manager = manager;
        Outer = manager.Current;
    }

    internal DisposeScope? Outer { get; set; }

    public IReadOnlyList<IDisposable> DisposablesView
    {
        get
        {
            Live();
            return owned.ToArray();
        }
    }

    public int DisposablesCount
    {
        get
        {
            Live();
            return owned.Count;
        }
    }

    public bool Contains(IDisposable disposable) => owned.Contains(disposable);

    public void Attach(IDisposable disposable) => Attach((IEnumerable<IDisposable>)[disposable]);

    public void Attach(params IDisposable[] disposables) => Attach((IEnumerable<IDisposable>)disposables);

    public IReadOnlyList<IDisposable> Attach(IEnumerable<IDisposable> disposables)
    {
        Live();
        var all = disposables.ToList();
        foreach (var disposable in all) Adopt(disposable);
        return all;
    }

    public T Detach<T>(T disposable) where T : IDisposable
    {
        Detach((IEnumerable<IDisposable>)[disposable]);
        return disposable;
    }

    public (T1 first, T2 second) Detach<T1, T2>(T1 first, T2 second) where T1 : IDisposable where T2 : IDisposable
    {
        Detach((IEnumerable<IDisposable>)[first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) Detach<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable where T2 : IDisposable where T3 : IDisposable
    {
        Detach((IEnumerable<IDisposable>)[first, second, third]);
        return (first, second, third);
    }

    public void Detach(params IDisposable[] disposables) => Detach((IEnumerable<IDisposable>)disposables);

    public void Detach(IEnumerable<IDisposable> disposables)
    {
        Live();
        foreach (var disposable in disposables)
            if (owned.Remove(disposable) && disposable is torch.Tensor tensor) tensor.OwningDisposeScope = null;
    }

    public T MoveToOuter<T>(T disposable) where T : IDisposable => MoveToOther(Outer, disposable);

    public (T1 first, T2 second) MoveToOuter<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable where T2 : IDisposable => MoveToOther(Outer, first, second);

    public (T1 first, T2 second, T3 third) MoveToOuter<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable where T2 : IDisposable where T3 : IDisposable =>
        MoveToOther(Outer, first, second, third);

    public void MoveToOuter(params IDisposable[] disposables) => MoveToOther(Outer, (IEnumerable<IDisposable>)disposables);

    public void MoveToOuter(IEnumerable<IDisposable> disposables) => MoveToOther(Outer, disposables);

    public T MoveToOther<T>(DisposeScope? scope, T disposable) where T : IDisposable
    {
        MoveToOther(scope, (IEnumerable<IDisposable>)[disposable]);
        return disposable;
    }

    public (T1 first, T2 second) MoveToOther<T1, T2>(DisposeScope? scope, T1 first, T2 second)
        where T1 : IDisposable where T2 : IDisposable
    {
        MoveToOther(scope, (IEnumerable<IDisposable>)[first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) MoveToOther<T1, T2, T3>(DisposeScope? scope, T1 first, T2 second, T3 third)
        where T1 : IDisposable where T2 : IDisposable where T3 : IDisposable
    {
        MoveToOther(scope, (IEnumerable<IDisposable>)[first, second, third]);
        return (first, second, third);
    }

    public void MoveToOther(DisposeScope? scope, params IDisposable[] disposables) =>
        MoveToOther(scope, (IEnumerable<IDisposable>)disposables);

    /// <summary>Only what this scope owns moves; without a scope to move to, it is detached.</summary>
    public void MoveToOther(DisposeScope? scope, IEnumerable<IDisposable> disposables)
    {
        Live();
        if (scope is null)
        {
            Detach(disposables);
            return;
        }
        foreach (var disposable in disposables)
            if (owned.Remove(disposable)) scope.Adopt(disposable);
    }

    public void DisposeEverything() => DisposeEverythingBut([]);

    /// <summary>What is kept counts as owned afterwards, even if it was not before.</summary>
    public void DisposeEverythingBut(IEnumerable<IDisposable> inKeep)
    {
        Live();
        var old = owned;
        owned = new HashSet<IDisposable>(inKeep, ReferenceEqualityComparer.Instance);
        foreach (var disposable in old)
            if (!owned.Contains(disposable)) disposable.Dispose();
    }

    public void DisposeEverythingBut(params IDisposable[] keep) => DisposeEverythingBut((IEnumerable<IDisposable>)keep);

    public T DisposeEverythingBut<T>(T keep) where T : IDisposable
    {
        DisposeEverythingBut((IEnumerable<IDisposable>)[keep]);
        return keep;
    }

    public (T1 first, T2 second) DisposeEverythingBut<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable where T2 : IDisposable
    {
        DisposeEverythingBut((IEnumerable<IDisposable>)[first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) DisposeEverythingBut<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable where T2 : IDisposable where T3 : IDisposable
    {
        DisposeEverythingBut((IEnumerable<IDisposable>)[first, second, third]);
        return (first, second, third);
    }

    public void MarkAsDisposed(IDisposable disposable)
    {
        Live();
        owned.Remove(disposable);
        if (disposable is torch.Tensor tensor) tensor.OwningDisposeScope = null;
    }

    public void Dispose()
    {
        if (manager is null) return;
        DisposeEverything();
        manager.Remove(this);
        manager = null;
    }

    internal void Register(torch.Tensor tensor) => owned.Add(tensor);

    private void Adopt(IDisposable disposable)
    {
        if (disposable is not torch.Tensor tensor)
            throw new InvalidOperationException("DisposeScope can only manage Tensor or PackedSequence");
        var old = tensor.OwningDisposeScope;
        if (old == this) return;
        owned.Add(tensor);
        old?.owned.Remove(tensor);
        tensor.OwningDisposeScope = this;
    }

    private void Live() => ObjectDisposedException.ThrowIf(manager is null, this);
}

/// <summary>The stack of scopes of one thread.</summary>
public class DisposeScopeManager
{
    [ThreadStatic] private static DisposeScopeManager? ofThread;

    internal static DisposeScopeManager OfThread => ofThread ??= new DisposeScopeManager();

    internal DisposeScope? Current { get; private set; }

    internal DisposeScope Open() => Current = new DisposeScope(this);

    internal DisposeScope? Register(torch.Tensor tensor)
    {
        Current?.Register(tensor);
        return Current;
    }

    /// <summary>Takes a scope off the stack, also from its middle.</summary>
    internal void Remove(DisposeScope scope)
    {
        if (Current == scope)
        {
            Current = scope.Outer;
            return;
        }
        for (var inner = Current; inner is not null; inner = inner.Outer)
        {
            if (inner.Outer != scope) continue;
            inner.Outer = scope.Outer;
            return;
        }
    }
}

public static partial class torch
{
    public static DisposeScope NewDisposeScope() => DisposeScopeManager.OfThread.Open();

    public static DisposeScope? CurrentDisposeScope => DisposeScopeManager.OfThread.Current;
}
