/// The name among `names` that `text` was most likely meant to be; nil when none is near.
///
/// Near means at most two wrong, missing, extra or swapped characters, and fewer than half of them;
/// or a name that begins with what was typed.
func nearestName(to text: String, among names: some Sequence<String>) -> String? {
    var best: (name: String, distance: Int)?
    let typed = text.lowercased()
    for name in names {
        let distance = editDistance(typed, name.lowercased())
        guard distance <= 2, distance * 2 < max(typed.count, name.count) else { continue }
        if distance < best?.distance ?? .max { best = (name, distance) }
    }
    if let best { return best.name }
    return typed.count >= 3 ? names.first { $0.lowercased().hasPrefix(typed) } : nil
}

/// Characters to insert, remove, replace or swap with their neighbour to make `right` of `left`.
///
/// - SeeAlso: The "optimal string alignment" variant of the Damerau-Levenshtein distance.
func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left)
    let right = Array(right)
    // Nobody mistypes this much; long texts would cost their product.
    guard left.count <= 64, right.count <= 64 else { return max(left.count, right.count) }
    var older: [Int] = []
    var previous = Array(0...right.count)
    for row in 0..<left.count {
        var current = [row + 1]
        for column in 0..<right.count {
            var cost = min(
                previous[column + 1] + 1, current[column] + 1,
                previous[column] + (left[row] == right[column] ? 0 : 1))
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                cost = min(cost, older[column - 1] + 1)
            }
            current.append(cost)
        }
        older = previous
        previous = current
    }
    return previous[right.count]
}
