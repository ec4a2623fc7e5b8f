public import Model

/// What a backup run says while it goes on.
public enum BackupEvent: Sendable {
    /// A pack of the repository whose list cannot be read, and why: what it holds counts as lost.
    case unreadable(PackID, String)
    /// Something about the run as a whole, for people.
    case remarked(String)
    /// One workload's capture begins; `number` counts from 1.
    case began(WorkloadID, number: Int, of: Int)
    /// Bytes that were read since the last such event.
    case advanced(ByteCount)
    /// For people, from the driver.
    case said(WorkloadID, String)
    /// A workload is safe: its snapshot exists.
    case saved(SnapshotRecord, took: TimeSpan)
    /// An attempt failed, and another one begins after a pause.
    case retrying(WorkloadID, Failure, after: TimeSpan)
    /// A workload was not saved.
    case failed(WorkloadID, Failure, took: TimeSpan)
    /// A hook of a service, or of the run, did not end well.
    case hookFailed(ServiceName?, Failure)
}
