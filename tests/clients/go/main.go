// clickhouse-go over HTTP against the embedded ClickHouse, a cell of the table at a time. Run by tests/clients/table.py.
// Prints one line of JSON a cell. With queries in SEGMA_CELLS ("dashboard") it asks those instead, as the analyst and as
// Grafana's data source plug-in does: gzip, no settings but a time limit from the context's deadline, and a location of
// the user's. Then it prints one line of JSON a query: its rows, or why there are none.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const text = "it's \\ ä"

type givenValues struct {
	Port      int               `json:"port"`
	Passwords map[string]string `json:"passwords"`
	Columns   []string          `json:"columns"`
	Expected  [][]string        `json:"expected"`
	Select    string            `json:"select"`
	Stream    string            `json:"stream"`
	Sum       uint64            `json:"sum"`
	Endless   string            `json:"endless"`
	Broken    string            `json:"broken"`
	Dashboard []string          `json:"dashboard"`
}

var given givenValues

func open(user string, method clickhouse.CompressionMethod) *sql.DB {
	return clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{fmt.Sprintf("127.0.0.1:%d", given.Port)},
		Auth:        clickhouse.Auth{Database: "segma", Username: user, Password: given.Passwords[user]},
		Compression: &clickhouse.Compression{Method: method},
		Protocol:    clickhouse.HTTP,
		DialTimeout: 10 * time.Second,
		ReadTimeout: 60 * time.Second,
	})
}

func told(value reflect.Value) string {
	for value.IsValid() && (value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface) {
		if value.IsNil() {
			return "null"
		}
		value = value.Elem()
	}
	if !value.IsValid() {
		return "null"
	}
	if instant, is := value.Interface().(time.Time); is {
		return fmt.Sprint(instant.UnixMilli())
	}
	switch value.Kind() {
	case reflect.Slice:
		var all []string
		for index := range value.Len() {
			all = append(all, told(value.Index(index)))
		}
		return "[" + strings.Join(all, ",") + "]"
	case reflect.Map:
		var all []string
		for _, key := range value.MapKeys() {
			all = append(all, told(key)+"="+told(value.MapIndex(key)))
		}
		sort.Strings(all)
		return "{" + strings.Join(all, ",") + "}"
	}
	return fmt.Sprint(value.Interface())
}

func rowsOf(found *sql.Rows, err error) ([][]string, error) {
	if err != nil {
		return nil, err
	}
	defer found.Close()
	names, err := found.Columns()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for found.Next() {
		values := make([]any, len(names))
		for index := range values {
			values[index] = new(any)
		}
		if err := found.Scan(values...); err != nil {
			return nil, err
		}
		row := []string{}
		for _, value := range values {
			row = append(row, told(reflect.ValueOf(value)))
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

func check(found, wanted any) error {
	if !reflect.DeepEqual(found, wanted) {
		return fmt.Errorf("%v instead of %v", found, wanted)
	}
	return nil
}

func added(connection *sql.DB, query string) (uint64, error) {
	found, err := connection.Query(query)
	if err != nil {
		return 0, err
	}
	defer found.Close()
	names, err := found.Columns()
	if err != nil {
		return 0, err
	}
	var total, number uint64
	values := make([]any, len(names))
	values[0] = &number
	for index := 1; index < len(values); index++ {
		values[index] = new(any)
	}
	for found.Next() {
		if err := found.Scan(values...); err != nil {
			return 0, err
		}
		total += number
	}
	return total, found.Err()
}

func fails(what string, err error) error {
	if err == nil {
		return fmt.Errorf("no error, but %s", what)
	}
	return nil
}

type cell struct {
	name string
	step func(*sql.DB) error
}

var cells = []cell{
	{"connect", func(connection *sql.DB) error {
		if err := connection.Ping(); err != nil {
			return err
		}
		rows, err := rowsOf(connection.Query("SELECT 1"))
		if err != nil {
			return err
		}
		return check(rows, [][]string{{"1"}})
	}},
	{"metadata", func(connection *sql.DB) error {
		rows, err := rowsOf(connection.Query("DESCRIBE TABLE cell_types"))
		if err != nil {
			return err
		}
		var names []string
		for _, row := range rows {
			names = append(names, row[0])
		}
		return check(names, given.Columns)
	}},
	{"types", func(connection *sql.DB) error {
		rows, err := rowsOf(connection.Query(given.Select))
		if err != nil {
			return err
		}
		return check(rows, given.Expected)
	}},
	{"parameters", func(connection *sql.DB) error {
		query := "SELECT {number:UInt32} + 1, {text:String}"
		rows, err := rowsOf(connection.Query(query, clickhouse.Named("number", "41"), clickhouse.Named("text", text)))
		if err != nil {
			return err
		}
		return check(rows, [][]string{{"42", text}})
	}},
	{"insert", func(connection *sql.DB) error {
		scope, err := connection.Begin()
		if err != nil {
			return err
		}
		batch, err := scope.Prepare("INSERT INTO cell_inserts")
		if err != nil {
			return err
		}
		for number := range 1_000 {
			if _, err := batch.Exec(uint32(number), text); err != nil {
				return err
			}
		}
		return scope.Commit()
	}},
	{"stream", func(connection *sql.DB) error {
		total, err := added(connection, given.Stream)
		if err != nil {
			return err
		}
		return check(total, given.Sum)
	}},
	{"cancel", func(connection *sql.DB) error {
		leaving, leave := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, leave)
		_, err := rowsOf(connection.QueryContext(leaving, given.Endless))
		return fails("an answer", err)
	}},
	{"mid_stream", func(connection *sql.DB) error {
		total, err := added(connection, given.Broken)
		return fails(fmt.Sprint(total), err)
	}},
}

func ask(connection *sql.DB, location *time.Location, query string) ([][]string, error) {
	limited, end := context.WithTimeout(context.Background(), time.Minute)
	defer end()
	return rowsOf(connection.QueryContext(clickhouse.Context(limited, clickhouse.WithUserLocation(location)), query))
}

func dashboard(connection *sql.DB) {
	location, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	for _, query := range given.Dashboard {
		rows, err := ask(connection, location, query)
		said := ""
		if err != nil {
			said = err.Error()
		}
		line, _ := json.Marshal(map[string]any{"rows": rows, "said": said})
		fmt.Println(string(line))
	}
}

func say(name, user string, err error) {
	said := ""
	if err != nil {
		said = err.Error()
	}
	line, _ := json.Marshal(map[string]string{"cell": name, "user": user, "said": said[:min(500, len(said))]})
	fmt.Println(string(line))
}

func main() {
	if err := json.Unmarshal([]byte(os.Getenv("SEGMA_CELLS")), &given); err != nil {
		panic(err)
	}
	if len(given.Dashboard) > 0 {
		dashboard(open("analyst", clickhouse.CompressionGZIP))
		return
	}
	for _, user := range []string{"segma", "analyst"} {
		connection := open(user, clickhouse.CompressionLZ4)
		for _, each := range cells {
			say(each.name, user, each.step(connection))
		}
		connection.Close()
	}
}
