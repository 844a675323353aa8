using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Sora.Tests.Providers;

/// <summary>
/// The public and protected surface of an assembly as a set of lines, <c>TYPE | KIND | SIGNATURE</c>, each a fact of its
/// own, so that one assembly's surface being part of another's is plain set inclusion.
/// </summary>
internal static class Signatures
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance
        | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void", [typeof(bool)] = "bool", [typeof(byte)] = "byte", [typeof(sbyte)] = "sbyte",
        [typeof(short)] = "short", [typeof(ushort)] = "ushort", [typeof(int)] = "int", [typeof(uint)] = "uint",
        [typeof(long)] = "long", [typeof(ulong)] = "ulong", [typeof(float)] = "float", [typeof(double)] = "double",
        [typeof(decimal)] = "decimal", [typeof(string)] = "string", [typeof(object)] = "object", [typeof(char)] = "char",
    };

    private static readonly Dictionary<string, string> Operators = new()
    {
        ["op_Addition"] = "+", ["op_Subtraction"] = "-", ["op_Multiply"] = "*", ["op_Division"] = "/",
        ["op_Modulus"] = "%", ["op_UnaryNegation"] = "-", ["op_UnaryPlus"] = "+", ["op_LogicalNot"] = "!",
        ["op_OnesComplement"] = "~", ["op_BitwiseAnd"] = "&", ["op_BitwiseOr"] = "|", ["op_ExclusiveOr"] = "^",
        ["op_LeftShift"] = "<<", ["op_RightShift"] = ">>", ["op_Equality"] = "==", ["op_Inequality"] = "!=",
        ["op_LessThan"] = "<", ["op_LessThanOrEqual"] = "<=", ["op_GreaterThan"] = ">", ["op_GreaterThanOrEqual"] = ">=",
    };

    public static SortedSet<string> Of(Assembly assembly)
    {
        var lines = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var type in assembly.GetTypes().Where(Visible))
            foreach (var (kind, signature) in Facts(type))
                lines.Add($"{Name(type, null)} | {kind} | {signature}");
        return lines;
    }

    private static IEnumerable<(string Kind, string Signature)> Facts(Type type)
    {
        var access = type.IsPublic || type.IsNestedPublic ? "public" : "protected";
        if (type.IsEnum)
        {
            yield return ("type", $"{access} enum : {Name(Enum.GetUnderlyingType(type), null)}");
            foreach (var name in Enum.GetNames(type))
                yield return ("const", $"{name} = {Convert.ToInt64(Enum.Parse(type, name), CultureInfo.InvariantCulture)}");
            yield break;
        }
        if (typeof(Delegate).IsAssignableFrom(type))
        {
            var invoke = type.GetMethod("Invoke")!;
            yield return ("type", $"{access} delegate {Return(invoke)} {Name(type, null)}({Parameters(invoke.GetParameters(), false)}){Constraints(type.GetGenericArguments())}");
            yield break;
        }
        yield return ("type", $"{access} {Modifiers(type)}{Constraints(OwnArguments(type))}");
        if (type.IsClass && type.BaseType is { } parent && parent != typeof(object)) yield return ("base", Name(parent, null));
        foreach (var contract in type.GetInterfaces().Where(i => Visible(i) && type.BaseType?.GetInterfaces().Contains(i) != true))
            yield return ("iface", Name(contract, null));
        foreach (var member in type.GetMembers(Declared))
            if (Fact(type, member) is { } fact)
                yield return fact;
    }

    private static (string, string)? Fact(Type type, MemberInfo member) => member switch
    {
        ConstructorInfo { IsStatic: false } made when Visible(made) =>
            ("ctor", $"{Access(made)} {Simple(type)}({Parameters(made.GetParameters(), false)})"),
        FieldInfo { IsSpecialName: false } field when field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly => Fact(field),
        PropertyInfo property => Fact(property),
        MethodInfo method when Visible(method) => Fact(method),
        _ => null,
    };

    private static (string, string) Fact(FieldInfo field)
    {
        var access = field.IsPublic ? "public" : "protected";
        var type = Name(field.FieldType, TupleNames(field));
        if (field.IsLiteral) return ("const", $"{access} const {type} {field.Name} = {Literal(field.GetRawConstantValue(), field.FieldType)}");
        return ("field", $"{access} {(field.IsStatic ? "static " : "")}{(field.IsInitOnly ? "readonly " : "")}{type} {field.Name}");
    }

    private static (string, string)? Fact(PropertyInfo property)
    {
        MethodInfo? get = property.GetMethod, set = property.SetMethod;
        bool reads = Visible(get), writes = Visible(set);
        if (!reads && !writes) return null;
        var main = reads && (get!.IsPublic || !writes || !set!.IsPublic) ? get! : set!;
        string Accessor(MethodInfo accessor, string verb) =>
            (Access(accessor) == Access(main) ? "" : Access(accessor) + " ") + verb + "; ";
        var init = writes && set!.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));
        var accessors = (reads ? Accessor(get!, "get") : "") + (writes ? Accessor(set!, init ? "init" : "set") : "");
        var index = property.GetIndexParameters();
        var name = index.Length > 0 ? $"this[{Parameters(index, false)}]" : property.Name;
        var reference = property.PropertyType.IsByRef ? "ref " : "";
        return (index.Length > 0 ? "indexer" : "prop",
            $"{Access(main)} {Modifiers(main)}{reference}{Name(property.PropertyType, TupleNames(property))} {name} {{ {accessors}}}");
    }

    private static (string, string)? Fact(MethodInfo method)
    {
        if (method is { Name: "Finalize", IsVirtual: true, IsFamily: true }) return null;
        var parameters = method.GetParameters();
        if (method.IsSpecialName)
        {
            if (method.Name is "op_Implicit" or "op_Explicit")
                return ("op", $"{Access(method)} static {(method.Name == "op_Implicit" ? "implicit" : "explicit")} operator {Return(method)}({Parameters(parameters, false)})");
            return Operators.TryGetValue(method.Name, out var token)
                ? ("op", $"{Access(method)} static {Return(method)} operator {token}({Parameters(parameters, false)})")
                : null;
        }
        var generic = method.GetGenericArguments();
        var arguments = generic.Length > 0 ? $"<{string.Join(", ", generic.Select(g => g.Name))}>" : "";
        var extends = method.IsDefined(typeof(ExtensionAttribute), false);
        return ("method", $"{Access(method)} {Modifiers(method)}{Return(method)} {method.Name}{arguments}({Parameters(parameters, extends)}){Constraints(generic)}");
    }

    private static bool Visible(Type type)
    {
        if (type.IsGenericType && !type.GetGenericArguments().All(a => a.IsGenericParameter || a.HasElementType || Visible(a))) return false;
        for (var t = type; t is not null; t = t.DeclaringType)
            if (!(t.IsPublic || t.IsNestedPublic || t.IsNestedFamily || t.IsNestedFamORAssem)) return false;
        return true;
    }

    private static bool Visible(MethodBase? method) =>
        method is not null && (method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly);

    private static string Access(MethodBase method) => method.IsPublic ? "public" : "protected";

    private static string Modifiers(Type type)
    {
        if (type.IsInterface) return "interface";
        if (type.IsValueType)
            return (type.IsDefined(typeof(IsReadOnlyAttribute), false) ? "readonly " : "") + (type.IsByRefLike ? "ref " : "") + "struct";
        return (type.IsAbstract && type.IsSealed ? "static " : type.IsAbstract ? "abstract " : type.IsSealed ? "sealed " : "") + "class";
    }

    private static string Modifiers(MethodInfo method)
    {
        if (method.DeclaringType!.IsInterface) return method.IsStatic ? "static " : "";
        if (method.IsStatic) return "static ";
        var fresh = method.Attributes.HasFlag(MethodAttributes.NewSlot);
        if (method.IsAbstract) return fresh ? "abstract " : "abstract override ";
        if (!method.IsVirtual) return "";
        if (fresh) return method.IsFinal ? "" : "virtual ";
        return method.IsFinal ? "sealed override " : "override ";
    }

    private static string Return(MethodInfo method)
    {
        var value = method.ReturnParameter;
        var reference = !value.ParameterType.IsByRef ? ""
            : value.IsDefined(typeof(IsReadOnlyAttribute), false) ? "ref readonly " : "ref ";
        return reference + Name(value.ParameterType, TupleNames(value));
    }

    private static string Parameters(ParameterInfo[] parameters, bool extends) =>
        string.Join(", ", parameters.Select((p, i) => (extends && i == 0 ? "this " : "") + Parameter(p)));

    private static string Parameter(ParameterInfo p)
    {
        var text = p.IsDefined(typeof(ParamArrayAttribute), false) || p.IsDefined(typeof(ParamCollectionAttribute), false) ? "params " : "";
        if (p.ParameterType.IsByRef) text += p is { IsOut: true, IsIn: false } ? "out " : p.IsDefined(typeof(IsReadOnlyAttribute), false) ? "in " : "ref ";
        text += $"{Name(p.ParameterType, TupleNames(p))} {p.Name}";
        if (p.HasDefaultValue) text += $" = {Literal(p.RawDefaultValue, p.ParameterType)}";
        else if (p.IsOptional) text += " = default";
        return text;
    }

    private static string Literal(object? value, Type type)
    {
        var nullable = Nullable.GetUnderlyingType(type);
        if (value is null) return (type.IsValueType && nullable is null) || type.IsGenericParameter ? "default" : "null";
        type = nullable ?? type;
        if (type.IsEnum)
            return Enum.GetName(type, Enum.ToObject(type, value)) is { } name ? $"{Name(type, null)}.{name}" : $"({Name(type, null)}){value}";
        return value switch
        {
            bool truth => truth ? "true" : "false",
            string text => '"' + text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t") + '"',
            char letter => letter < 32 ? $"'\\u{(int)letter:x4}'" : $"'{letter}'",
            double number => number.ToString("R", CultureInfo.InvariantCulture),
            float number => number.ToString("R", CultureInfo.InvariantCulture) + "f",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
    }

    private static Type[] OwnArguments(Type type) =>
        type.GetGenericArguments()[(type.DeclaringType?.GetGenericArguments().Length ?? 0)..];

    private static string Constraints(Type[] arguments) => string.Concat(arguments.Select(argument =>
    {
        var all = new List<string>();
        var attributes = argument.GenericParameterAttributes;
        var isStruct = attributes.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint);
        if (argument.CustomAttributes.Any(a => a.AttributeType.Name == "IsUnmanagedAttribute")) all.Add("unmanaged");
        else if (isStruct) all.Add("struct");
        if (attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint)) all.Add("class");
        all.AddRange(argument.GetGenericParameterConstraints().Where(c => c != typeof(ValueType)).Select(c => Name(c, null)).Order(StringComparer.Ordinal));
        if (!isStruct && attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint)) all.Add("new()");
        return all.Count == 0 ? "" : $" where {argument.Name} : {string.Join(", ", all)}";
    }));

    private static string Simple(Type type) => type.Name.Split('`')[0];

    private static Queue<string?>? TupleNames(ICustomAttributeProvider member) =>
        member.GetCustomAttributes(typeof(TupleElementNamesAttribute), false) is [TupleElementNamesAttribute names, ..]
            ? new Queue<string?>(names.TransformNames)
            : null;

    private static string Name(Type type, Queue<string?>? tupleNames)
    {
        if (type.IsByRef) return Name(type.GetElementType()!, tupleNames);
        if (type.IsPointer) return Name(type.GetElementType()!, tupleNames) + "*";
        if (type.IsArray)
        {
            var ranks = "";
            for (; type.IsArray; type = type.GetElementType()!) ranks += $"[{new string(',', type.GetArrayRank() - 1)}]";
            return Name(type, tupleNames) + ranks;
        }
        if (type.IsGenericParameter) return type.Name;
        if (Keywords.TryGetValue(type, out var keyword)) return keyword;
        if (Nullable.GetUnderlyingType(type) is { } underlying) return Name(underlying, tupleNames) + "?";
        if (type.IsGenericType && typeof(ITuple).IsAssignableFrom(type) && type.IsValueType && type.GenericTypeArguments.Length is > 1 and < 8)
        {
            // A tuple's own element names come before those of the tuples inside it.
            var elements = type.GetGenericArguments();
            var names = elements.Select(_ => tupleNames is { Count: > 0 } ? tupleNames.Dequeue() : null).ToArray();
            return $"({string.Join(", ", elements.Zip(names, (e, n) => Name(e, tupleNames) + (n is null ? "" : " " + n)))})";
        }
        var chain = new Stack<Type>();
        for (var t = type; t is not null; t = t.DeclaringType) chain.Push(t);
        var arguments = new Queue<Type>(type.GetGenericArguments());
        var levels = chain.Select(level =>
        {
            var count = level.GetGenericArguments().Length - (level.DeclaringType?.GetGenericArguments().Length ?? 0);
            var own = Enumerable.Range(0, count).Select(_ => Name(arguments.Dequeue(), tupleNames)).ToArray();
            return Simple(level) + (count == 0 ? "" : $"<{string.Join(", ", own)}>");
        });
        var space = string.IsNullOrEmpty(type.Namespace) ? "" : type.Namespace + ".";
        return space + string.Join(".", levels);
    }
}
