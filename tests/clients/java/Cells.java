// clickhouse-jdbc against the embedded ClickHouse, a cell of the table at a time. Run by tests/clients/table.py with the
// driver on the class path: `java -cp … Cells.java`. Prints one line of JSON a cell.

import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;

public final class Cells {
  private static final String TEXT = "it's \\ ä";
  private static Map<String, Object> given;

  interface Step {
    void run(Connection connection) throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    System.setOut(new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, "UTF-8"));
    given = Json.read(System.getenv("SEGMA_CELLS"));
    Map<?, ?> passwords = (Map<?, ?>) given.get("passwords");
    for (String user : List.of("segma", "analyst")) {
      Properties properties = new Properties();
      properties.setProperty("user", user);
      properties.setProperty("password", (String) passwords.get(user));
      String url = "jdbc:clickhouse://127.0.0.1:" + given.get("port") + "/segma";
      for (Map.Entry<String, Step> cell : cells().entrySet()) {
        String said = "";
        try (Connection connection = DriverManager.getConnection(url, properties)) {
          cell.getValue().run(connection);
        } catch (Throwable error) {
          said = error.getClass().getSimpleName() + ": " + error.getMessage();
        }
        said = said.substring(0, Math.min(500, said.length()));
        System.out.println("{\"cell\":" + Json.quoted(cell.getKey()) + ",\"user\":" + Json.quoted(user) + ",\"said\":" + Json.quoted(said) + "}");
      }
    }
    System.exit(0);
  }

  private static Map<String, Step> cells() {
    Map<String, Step> cells = new java.util.LinkedHashMap<>();
    cells.put("connect", connection -> check(rows(connection, "SELECT 1"), List.of(List.of("1"))));
    cells.put("metadata", connection -> {
      List<String> names = new ArrayList<>();
      try (ResultSet columns = connection.getMetaData().getColumns(null, "segma", "cell_types", "%")) {
        while (columns.next()) names.add(columns.getString("COLUMN_NAME"));
      }
      check(names, given.get("columns"));
      List<String> tables = new ArrayList<>();
      try (ResultSet found = connection.getMetaData().getTables(null, "segma", "cell_%", null)) {
        while (found.next()) tables.add(found.getString("TABLE_NAME"));
      }
      check(tables.contains("cell_types"), true);
    });
    cells.put("types", connection -> check(rows(connection, (String) given.get("select")), given.get("expected")));
    cells.put("parameters", connection -> {
      try (PreparedStatement statement = connection.prepareStatement("SELECT ? + 1, ?")) {
        statement.setInt(1, 41);
        statement.setString(2, TEXT);
        try (ResultSet found = statement.executeQuery()) {
          check(read(found), List.of(List.of("42", TEXT)));
        }
      }
    });
    cells.put("insert", connection -> {
      try (PreparedStatement statement = connection.prepareStatement("INSERT INTO cell_inserts (x, s) VALUES (?, ?)")) {
        for (int number = 0; number < 1_000; number++) {
          statement.setInt(1, number);
          statement.setString(2, TEXT);
          statement.addBatch();
        }
        statement.executeBatch();
      }
    });
    cells.put("stream", connection -> check(added(connection, (String) given.get("stream")), ((Number) given.get("sum")).longValue()));
    cells.put("cancel", connection -> {
      Statement statement = connection.createStatement();
      Thread canceller = new Thread(() -> {
        try {
          Thread.sleep(1_000);
          statement.cancel();
        } catch (Exception error) {
          throw new IllegalStateException(error);
        }
      });
      canceller.start();
      fails(() -> statement.executeQuery((String) given.get("endless")));
      canceller.join();
    });
    cells.put("mid_stream", connection -> fails(() -> added(connection, (String) given.get("broken"))));
    return cells;
  }

  private static long added(Connection connection, String sql) throws SQLException {
    long total = 0;
    try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery(sql)) {
      while (found.next()) total += found.getLong(1);
    }
    return total;
  }

  private static List<List<String>> rows(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery(sql)) {
      return read(found);
    }
  }

  private static List<List<String>> read(ResultSet found) throws SQLException {
    List<List<String>> rows = new ArrayList<>();
    while (found.next()) {
      List<String> row = new ArrayList<>();
      for (int column = 1; column <= found.getMetaData().getColumnCount(); column++) row.add(told(found.getObject(column)));
      rows.add(row);
    }
    return rows;
  }

  private static String told(Object value) throws SQLException {
    if (value == null) return "null";
    if (value instanceof Array array) return told(array.getArray());
    if (value instanceof Object[] values) return told(Arrays.asList(values));
    if (value instanceof List<?> values) {
      List<String> all = new ArrayList<>();
      for (Object each : values) all.add(told(each));
      return "[" + String.join(",", all) + "]";
    }
    if (value instanceof Map<?, ?> map) {
      List<String> all = new ArrayList<>();
      for (Map.Entry<?, ?> each : map.entrySet()) all.add(each.getKey() + "=" + told(each.getValue()));
      return "{" + String.join(",", all) + "}";
    }
    if (value instanceof Timestamp instant) return String.valueOf(instant.getTime());
    if (value instanceof LocalDateTime instant) return String.valueOf(instant.toInstant(ZoneOffset.UTC).toEpochMilli());
    if (value instanceof OffsetDateTime instant) return String.valueOf(instant.toInstant().toEpochMilli());
    if (value instanceof ZonedDateTime instant) return String.valueOf(instant.toInstant().toEpochMilli());
    if (value instanceof Instant instant) return String.valueOf(instant.toEpochMilli());
    if (value instanceof BigDecimal number) return number.toPlainString();
    if (value instanceof BigInteger number) return number.toString();
    return value.toString();
  }

  interface Call {
    Object run() throws Exception;
  }

  private static void fails(Call call) {
    Object found;
    try {
      found = call.run();
    } catch (Exception error) {
      return;
    }
    throw new AssertionError("no error, but " + found);
  }

  private static void check(Object found, Object wanted) {
    if (!found.equals(wanted)) throw new AssertionError(found + " instead of " + wanted);
  }

  /** As much of JSON as there is in SEGMA_CELLS. */
  private static final class Json {
    private final String text;
    private int at;

    private Json(String text) {
      this.text = text;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> read(String text) {
      return (Map<String, Object>) new Json(text).value();
    }

    static String quoted(String text) {
      StringBuilder out = new StringBuilder("\"");
      for (char each : text.toCharArray()) {
        if (each == '"' || each == '\\') out.append('\\').append(each);
        else if (each < ' ') out.append(String.format("\\u%04x", (int) each));
        else out.append(each);
      }
      return out.append('"').toString();
    }

    private char next() {
      while (Character.isWhitespace(text.charAt(at)) || text.charAt(at) == ',' || text.charAt(at) == ':') at++;
      return text.charAt(at);
    }

    private Object value() {
      char first = next();
      if (first == '{') {
        Map<String, Object> map = new java.util.LinkedHashMap<>();
        for (at++; next() != '}'; ) map.put((String) value(), value());
        at++;
        return map;
      }
      if (first == '[') {
        List<Object> list = new ArrayList<>();
        for (at++; next() != ']'; ) list.add(value());
        at++;
        return list;
      }
      if (first == '"') return string();
      int begun = at;
      while ("-0123456789.eE".indexOf(text.charAt(at)) >= 0) at++;
      return Long.valueOf(text.substring(begun, at));
    }

    private String string() {
      StringBuilder out = new StringBuilder();
      for (at++; text.charAt(at) != '"'; at++) {
        char each = text.charAt(at);
        if (each != '\\') {
          out.append(each);
        } else if ((each = text.charAt(++at)) == 'u') {
          out.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16));
          at += 4;
        } else {
          out.append(each == 'n' ? '\n' : each == 't' ? '\t' : each);
        }
      }
      at++;
      return out.toString();
    }
  }
}
