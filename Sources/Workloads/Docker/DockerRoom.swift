import Engine
import Model

/// Moves aside what has the names of what a plan brings back.
///
/// Containers are stopped, keep their data and get another name; what a volume held gets a volume of
/// its own. Nothing is lost, and nothing of it starts again by itself.
struct DockerRoom {
    let engine: DockerEngine
    let context: WorkloadContext

    /// Moves every container aside whose name the plan makes: an application that still runs would
    /// fill the database that is about to be loaded.
    ///
    /// - Returns: What was done, for people.
    func clear() async throws -> [String] {
        let names = try await engine.containers().map(\.name).filter {
            context.planned.contains("container/\($0)")
                && !context.ledger.isOwn("container/\($0)")
        }
        // Together: each may take its time to stop.
        return try await withThrowingTaskGroup(of: String?.self) { group in
            for name in names { group.addTask { try await moveAside(name) } }
            var notes: [String] = []
            for try await note in group { if let note { notes.append(note) } }
            return notes.sorted()
        }
    }

    /// - Returns: Nil when it was gone by then.
    func moveAside(_ name: String) async throws -> String? {
        guard let found = try await engine.find(container: name) else { return nil }
        let aside = "\(name)_before_\(AsideName.now())"
        await context.ledger.moveAside("container/\(name)", to: aside)
        context.report("moving container \(name) aside")
        let patience = found.config["StopTimeout"].integer ?? 10
        try await engine.stop(container: found.id, patience: patience)
        // One that removes itself when it stops is gone now.
        guard let stopped = try await engine.find(container: found.id), stopped.name == name else {
            return nil
        }
        try await engine.forbidRestart(container: found.id)
        try await engine.rename(container: found.id, to: aside)
        return "container \(name) is stopped and called \(aside)"
    }

    /// Moves what a volume holds into a volume of its own.
    ///
    /// - Returns: What was done, for people.
    func empty(_ volume: VolumeInspection) async throws -> String {
        let claim = context.claim("volume/\(volume.name)")
        let bound = VolumeDefinition.boundDirectory(driver: volume.driver, options: volume.options)
        if let bound {
            let aside = "\(bound)_before_\(AsideName.now())"
            await claim.moveAside(to: aside)
            try await engine.files.rename(bound, to: aside)
            return "what volume \(volume.name) held is now \(aside)"
        }
        guard volume.driver == "local", volume.options.isEmpty else {
            throw Failure(
                .failed, "what volume \(volume.name) holds cannot be moved aside",
                hint: "save what is in it, remove it, then run dr restore --resume", side: .target)
        }
        let aside = claim.aside ?? "\(volume.name)_before_\(AsideName.now())"
        await claim.moveAside(to: aside)
        let made = try await engine.createVolume(
            body: .object([
                "Name": .string(aside), "Driver": .string("local"),
                "Labels": volume.json["Labels"],
            ]))
        try await engine.files.rename(volume.mountPoint, to: made.mountPoint)
        return "what volume \(volume.name) held is now in volume \(aside)"
    }
}

extension DockerEngine {
    /// Gives a container another name.
    func rename(container: String, to name: String) async throws {
        _ = try await call(
            request(.post, ["containers", container, "rename"], query: [("name", name)]))
    }

    /// Keeps the Engine from starting a container again by itself.
    func forbidRestart(container: String) async throws {
        _ = try await call(
            request(
                .post, ["containers", container, "update"],
                body: .object(["RestartPolicy": .object(["Name": .string("no")])])))
    }
}
