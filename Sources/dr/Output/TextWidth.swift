/// How many columns a terminal gives to `text`, which holds no control characters.
///
/// Right for what people name things: combining marks take none, East Asian wide characters and
/// emoji two.
func columns(of text: String) -> Int {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
    return text.unicodeScalars.reduce(0) { $0 + columns(of: $1) }
}

private func columns(of scalar: Unicode.Scalar) -> Int {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    switch scalar.value {
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
        0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
        0x1F900...0x1F9FF, 0x20000...0x3FFFD:
        return 2
    default: return 1
    }
}

/// `text` cut to at most `width` columns, with an ellipsis where something was cut off.
func truncated(_ text: String, to width: Int) -> String {
    if columns(of: text) <= width { return text }
    guard width > 1 else { return width == 1 ? "…" : "" }
    var result = ""
    var used = 0
    for character in text {
        let more = columns(of: String(character))
        if used + more > width - 1 { break }
        result.append(character)
        used += more
    }
    return result + "…"
}
