import Model
import TestSupport
import Testing

@testable import Workloads

@Suite("What a MariaDB dump holds, told as it passes")
struct MariaDBDumpParserTests {
    private static let dump = """
        -- MariaDB dump
        /*!40101 SET NAMES utf8mb4 */;
        CREATE TABLE `plain` (`a` text);
        INSERT INTO `plain` VALUES
        (1,'one'),
        (2,'it''s (not) a row; INSERT INTO `other` VALUES (1)'),
        (3,'\\');\\nINSERT INTO `plain` VALUES (9),(9'),
        (4,NULL);
        INSERT INTO `odd``VALUES(` VALUES (0x27,'\\\\'),(-1.5,'\\'');
        INSERT INTO `named` (`id`, `VALUES`) VALUES (1,"("),(2,"\\")");
        INSERT INTO `plain` VALUES (5,'again');
        DELIMITER ;;
        CREATE PROCEDURE p() BEGIN
        INSERT INTO `plain` VALUES (7,'said by a routine');
        END ;;
        DELIMITER ;
        INSERT INTO `last` VALUES
        (1);
        /*!50003 INSERT INTO `trigger` VALUES (1) */;
        -- Dump completed

        """

    private func parsed(_ text: String, slices size: Int, hasEscapes: Bool = true)
        -> MariaDBDumpParser
    {
        var parser = MariaDBDumpParser(hasEscapes: hasEscapes)
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = min(start + size, bytes.count)
            bytes[start..<end].withUnsafeBytes { parser.feed($0) }
            start = end
        }
        return parser
    }

    @Test("Rows are counted whatever texts hold and however the stream is cut")
    func counts() {
        for size in [1, 2, 3, 7, 64, 100_000] {
            let parser = parsed(Self.dump, slices: size)
            #expect(
                parser.rows == ["plain": 5, "odd`VALUES(": 2, "named": 2, "last": 1], "\(size)")
            #expect(parser.isComplete)
        }
    }

    @Test("A dump that is cut anywhere is not complete")
    func cut() {
        let bytes = Array(Self.dump.utf8)
        for count in stride(from: 0, to: bytes.count - 3, by: 5) {
            let parser = parsed(
                String(decoding: bytes.prefix(count), as: UTF8.self), slices: 1000)
            #expect(!parser.isComplete, "\(count)")
        }
    }

    @Test("Without escapes a backslash is a character like any other")
    func withoutEscapes() {
        let text = "INSERT INTO `t` VALUES (1,'\\'),(2,'x'),(3,'''\\''');\n-- Dump completed\n"
        #expect(parsed(text, slices: 9, hasEscapes: false).rows == ["t": 3])
    }
}
