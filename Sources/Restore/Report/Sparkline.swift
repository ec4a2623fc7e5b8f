/// Values as a line of bars, each as high as its share of the largest.
public func sparkline(_ values: [Double]) -> String {
    let bars = Array("▁▂▃▄▅▆▇█")
    let largest = max(values.max() ?? 0, 1e-9)
    return String(values.map { bars[Int((max(0, $0) / largest * 7).rounded())] })
}

/// How much of a limit is used, as a bar of `width` columns; full from 1 on.
public func gauge(_ share: Double, width: Int = 6) -> String {
    let parts = Array("░▏▎▍▌▋▊▉█")
    let eighths = Int((min(max(share, 0), 1) * Double(width * 8)).rounded())
    return String(
        (0..<width).map { column in parts[min(8, max(0, eighths - column * 8))] })
}
