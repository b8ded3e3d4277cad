// A peer that speaks REST streams as Kratos v3 does: `server ADDRESS` serves them with Kratos' HTTP server, `client ADDRESS` calls
// ours with its HTTP client and prints what it saw. Messages are protobuf Structs, whose JSON is that of any message.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-kratos/kratos/v3/errors"
	"github.com/go-kratos/kratos/v3/transport/http"
	"google.golang.org/protobuf/types/known/structpb"
)

func message(fields map[string]any) *structpb.Struct {
	made, err := structpb.NewStruct(fields)
	if err != nil {
		panic(err)
	}
	return made
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kratos server|client ADDRESS")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "server":
		serve(os.Args[2])
	case "client":
		call(os.Args[2])
	}
}

func serve(address string) {
	server := http.NewServer(http.Address(address))
	route := server.Route("/")
	route.GET("/v1/wide/{id:[^/]+}:watch", func(ctx http.Context) error {
		stream := http.NewServerSentEventServerStream(ctx)
		id := ctx.Vars().Get("id")
		if id == "early" {
			return stream.Close(errors.New(404, "NO_ID", "no such id"))
		}
		for i := 0; i < 3; i++ {
			if err := stream.Send(message(map[string]any{"id": id, "note": fmt.Sprint(ctx.Query().Get("note"), i)})); err != nil {
				return err
			}
		}
		if id == "late" {
			return stream.Close(errors.New(409, "BUSY", "too late").WithMetadata(map[string]string{"k": "v"}))
		}
		return stream.Close(nil)
	})
	route.GET("/v1/chat/{id}", func(ctx http.Context) error {
		stream, err := http.NewWebSocketServerStream(ctx)
		if err != nil {
			return err
		}
		for {
			in := new(structpb.Struct)
			// Recv would set query and path on a field list that a Struct has not
			if err := stream.RecvMsg(in); err != nil {
				if err == io.EOF {
					err = nil
				}
				return stream.Close(err)
			}
			note := in.GetFields()["note"].GetStringValue()
			if note == "fail" {
				return stream.Close(errors.New(409, "BUSY", "no more").WithMetadata(map[string]string{"k": "v"}))
			}
			if err := stream.Send(message(map[string]any{"id": ctx.Vars().Get("id"), "note": note})); err != nil {
				return stream.Close(err)
			}
		}
	})
	route.GET("/v1/collect", func(ctx http.Context) error {
		stream, err := http.NewWebSocketServerStream(ctx)
		if err != nil {
			return err
		}
		count := 0
		for {
			if err := stream.RecvMsg(new(structpb.Struct)); err == io.EOF {
				break
			} else if err != nil {
				return stream.Close(err)
			}
			count++
		}
		_ = stream.SendAndClose(message(map[string]any{"id": fmt.Sprint(count)}))
		return stream.Close(nil)
	})
	fmt.Println("ready")
	if err := server.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type seen struct {
	Call     string           `json:"call"`
	Messages []map[string]any `json:"messages"`
	Error    any              `json:"error"`
}

func drain(name string, stream http.ClientStream, err error) {
	result := seen{Call: name, Messages: []map[string]any{}}
	for err == nil {
		reply := new(structpb.Struct)
		if err = stream.Recv(reply); err == nil {
			result.Messages = append(result.Messages, reply.AsMap())
		}
	}
	if err != nil && err != io.EOF {
		result.Error = err.Error()
		if known := new(errors.Error); errors.As(err, &known) {
			result.Error = map[string]any{"code": known.Code, "reason": known.Reason, "message": known.Message, "metadata": known.Metadata}
		}
	}
	line, _ := json.Marshal(result)
	fmt.Println(string(line))
}

func call(address string) {
	ctx := context.Background()
	client, err := http.NewClient(ctx, http.WithEndpoint(address), http.WithTimeout(10*time.Second))
	if err != nil {
		panic(err)
	}
	for _, id := range []string{"1", "early", "late"} {
		stream, err := client.ServerSentEvent(ctx, "GET", "/v1/wide/"+id+":watch?note=n", nil,
			http.Accept("text/event-stream"), http.ContentType("application/protojson"))
		drain("watch "+id, stream, err)
	}
	socket := func(path string) (http.ClientStream, error) {
		return client.WebSocket(ctx, path, http.Accept("application/protojson"), http.ContentType("application/protojson"))
	}
	for _, notes := range [][]string{{"a", "b"}, {"a", "fail"}} {
		stream, err := socket("/v1/chat/room")
		if err == nil {
			for _, note := range notes {
				_ = stream.Send(message(map[string]any{"note": note}))
			}
			_ = stream.CloseSend()
		}
		drain("chat "+notes[len(notes)-1], stream, err)
	}
	stream, err := socket("/v1/collect")
	if err == nil {
		_ = stream.Send(message(map[string]any{"id": "a"}))
		_ = stream.Send(message(map[string]any{"id": "b"}))
		reply := new(structpb.Struct)
		if err = stream.CloseAndRecv(reply); err == nil {
			line, _ := json.Marshal(seen{Call: "collect", Messages: []map[string]any{reply.AsMap()}})
			fmt.Println(string(line))
		}
	}
	if err != nil {
		drain("collect", stream, err)
	}
}
