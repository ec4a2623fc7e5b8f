/// Texts for people, read line by line before they were put here.
enum Goldens {
    static let failedReport = """
        restore to here, run 00000000 on web.example.org: partly done, or a snapshot is suspicious
        1 of 4 services back, 201.0 MiB in 4.0 s
        recovery time not reached
        recovery point not reached

          declared    0.0 s  2026-11-22 02:00:00Z
          planned     0.0 s  2026-11-22 02:00:00Z
          first byte  0.0 s  2026-11-22 02:00:00Z

        services
          service   state         recovery time             recovery point                   bytes
          umami-db  failed        not reached               none                           1.0 MiB
          site      partial       1.0 s of 1 h 00 min, met  2 h 30 min of 1 d 00 h, met  200.0 MiB
          umami     not executed  not reached               none                               0 B
          caddy     not executed  not reached               none                               0 B

        steps
          start    end   took  waited      bytes         rate  step
          0.0 s  1.0 s  1.0 s                                  make network web
          0.0 s  1.0 s  1.0 s            1.0 MiB    1.0 MiB/s  restore volume umami-db
          1.0 s  2.0 s  1.0 s                                  start container umami-db
          2.0 s  3.0 s  1.0 s                                  restore roles
          3.0 s  4.0 s  1.0 s                                  restore database umami: FAILED
          0.0 s  1.0 s  1.0 s          200.0 MiB  200.0 MiB/s  restore /srv/www
          1.0 s  1.0 s  0.0 s                                  site is back

        not executed
          umami-db/postgres:umami-db/proof:umami  umami-db/postgres:umami-db/database:umami failed
          umami-db/healthy                        umami-db/postgres:umami-db/database:umami failed
          umami/docker:umami/start                umami-db/postgres:umami-db/database:umami failed
          umami/healthy                           umami-db/postgres:umami-db/database:umami failed
          caddy/docker:caddy/start                umami-db/postgres:umami-db/database:umami failed
          caddy/healthy                           umami-db/postgres:umami-db/database:umami failed

        critical path
          umami-db/docker:umami-db/network:web
          umami-db/docker:umami-db/start
          umami-db/postgres:umami-db/globals
          umami-db/postgres:umami-db/database:umami

        what went wrong
          umami-db/postgres:umami-db/database:umami: role "umami" does not exist
            restore the roles
          site/files:files/files:/srv/www: a|b: no space <left>

        to do the rest
          dr restore --resume 00000000

        """

    static let plan = """
        restore to here: 4 services, 13 steps, 601.0 MiB
        as of the latest, planned 2026-11-22 02:00:00Z
        duration never measured, assumed about 17 s; objective 1 h 00 min

        wave 1
          umami-db
            umami-db/docker:umami-db    00000100  2026-11-21 23:00:00Z  3 h 00 min old    1.0 MiB
            umami-db/postgres:umami-db  00000200  2026-11-21 23:00:00Z  3 h 00 min old  400.0 MiB
            - make network web                     ~0.5 s
            - restore volume umami-db     1.0 MiB  ~0.2 s
            - start container umami-db             ~2.0 s
            - restore roles                        ~0.5 s
            - restore database umami    400.0 MiB  ~4.4 s
            - count rows of umami                  ~1.0 s
            - umami-db is back
          site
            site/files:files  00000500  2026-11-21 23:30:00Z  2 h 30 min old  200.0 MiB
            - restore /srv/www  200.0 MiB  ~2.3 s
            - site is back

        wave 2
          umami after umami-db
            umami/docker:umami  00000300  2026-11-21 23:00:00Z  3 h 00 min old
            - start container umami                            ~2.0 s
            - check http http://127.0.0.1:3000/ answers 200    ~5.0 s

        wave 3
          caddy after umami
            caddy/docker:caddy  00000400  2026-11-21 23:00:00Z  3 h 00 min old
            - start container caddy    ~2.0 s
            - caddy is back

        critical path
          umami-db/docker:umami-db/network:web
          umami-db/docker:umami-db/start
          umami-db/postgres:umami-db/globals
          umami-db/postgres:umami-db/database:umami
          umami-db/postgres:umami-db/proof:umami
          umami-db/healthy
          umami/docker:umami/start
          umami/healthy
          caddy/docker:caddy/start

        """
}
