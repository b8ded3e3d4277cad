package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/go-kratos/kratos/v3/errors"
	"github.com/go-kratos/kratos/v3/metadata"

	pb "effect-kratos/interop/fleet/gen/fleetv1"
)

// Job is something for a client to do.
type Job struct {
	// visit, visits, load, put, get, watch, talk, collect, list.
	Do       string `json:"do"`
	Target   string `json:"target"`
	Protocol string `json:"protocol"`
	// Of HTTP: `binary`, or the version's own.
	Dialect string `json:"dialect"`
	// A message, in protobuf's JSON.
	Message json.RawMessage `json:"message"`
	// Texts of messages to send.
	Texts []string `json:"texts"`
	// What goes along as metadata.
	Metadata map[string]string `json:"metadata"`
	// Of one call; 0 for 20 seconds.
	TimeoutMs int `json:"timeoutMs"`
	// The caller goes away after so long; 0 for never.
	CancelMs int `json:"cancelMs"`
	Times    int `json:"times"`
	// Calls are counted once so many members have answered.
	Members int `json:"members"`
	// Calls a second.
	Rate int `json:"rate"`
}

// Failure is an error as Kratos sees it.
type Failure struct {
	Code     int32             `json:"code"`
	Reason   string            `json:"reason"`
	Message  string            `json:"message"`
	Metadata map[string]string `json:"metadata"`
}

// Answer is what a job came to.
type Answer struct {
	Reply   json.RawMessage   `json:"reply,omitempty"`
	Replies []json.RawMessage `json:"replies,omitempty"`
	Error   *Failure          `json:"error,omitempty"`
	// Calls by the first member they came to.
	Nodes  map[string]int `json:"nodes,omitempty"`
	Failed int            `json:"failed"`
	// The first few.
	Failures  []string `json:"failures,omitempty"`
	Instances any      `json:"instances,omitempty"`
}

func (j Job) messages() []*pb.TalkMessage {
	messages := make([]*pb.TalkMessage, len(j.Texts))
	for i, text := range j.Texts {
		messages[i] = &pb.TalkMessage{Text: text, Number: int64(i)}
	}
	return messages
}

func failureOf(err error) *Failure {
	known := errors.FromError(err)
	return &Failure{known.Code, known.Reason, known.Message, known.Metadata}
}

func message(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	if err != nil {
		fail(err)
	}
	return text
}

func answered(reply proto.Message, err error) Answer {
	if err != nil {
		return Answer{Error: failureOf(err)}
	}
	return Answer{Reply: message(reply)}
}

func work(config Config, ended <-chan struct{}) error {
	registry, err := openRegistry(config.Registry)
	if err != nil {
		return err
	}
	c := newCallers(registry, config.Name)
	for _, job := range config.Jobs {
		answer, err := c.do(job, ended)
		if err != nil {
			return fmt.Errorf("%s: %w", job.Do, err)
		}
		say(answer)
	}
	return nil
}

func (c *callers) do(job Job, ended <-chan struct{}) (Answer, error) {
	timeout := 20 * time.Second
	if job.TimeoutMs > 0 {
		timeout = time.Duration(job.TimeoutMs) * time.Millisecond
	}
	limited := func() (context.Context, context.CancelFunc) {
		ctx := context.Background()
		for key, value := range job.Metadata {
			ctx = metadata.AppendToClientContext(ctx, key, value)
		}
		return context.WithTimeout(ctx, timeout)
	}
	switch job.Do {
	case "list":
		ctx, cancel := limited()
		defer cancel()
		list, err := c.registry.GetService(ctx, job.Target)
		return Answer{Instances: list}, err
	case "visits", "load":
		return c.many(job, limited, ended)
	}
	to, err := c.get(job.Target, job.Protocol)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := limited()
	defer cancel()
	if job.CancelMs > 0 {
		time.AfterFunc(time.Duration(job.CancelMs)*time.Millisecond, cancel)
	}
	switch job.Do {
	case "visit":
		in := new(pb.VisitRequest)
		if err := protojson.Unmarshal(job.Message, in); err != nil {
			return Answer{}, err
		}
		return answered(c.visit(ctx, job.Target, job.Protocol, job.Dialect, in)), nil
	case "put":
		in := new(pb.Thing)
		if err := protojson.Unmarshal(job.Message, in); err != nil {
			return Answer{}, err
		}
		if to.conn != nil {
			return answered(pb.NewFleetClient(to.conn).PutThing(ctx, in)), nil
		}
		out := new(pb.Thing)
		err := to.http.Invoke(ctx, "PUT", "/v1/things", in, out, formatOf(job.Dialect, "PutThing")...)
		return answered(out, err), nil
	case "get":
		in := new(pb.GetThingRequest)
		if err := protojson.Unmarshal(job.Message, in); err != nil {
			return Answer{}, err
		}
		if to.conn != nil {
			return answered(pb.NewFleetClient(to.conn).GetThing(ctx, in)), nil
		}
		out := new(pb.Thing)
		err := to.http.Invoke(ctx, "GET", buildPath("/v1/things/{id}", in), nil, out, formatOf(job.Dialect, "GetThing")...)
		return answered(out, err), nil
	case "watch", "talk", "collect":
		stream := to.httpStream
		if to.conn != nil {
			stream = to.grpcStream
		}
		replies, err := stream(ctx, job)
		answer := Answer{Replies: []json.RawMessage{}}
		if err != nil {
			answer.Error = failureOf(err)
		}
		for _, reply := range replies {
			answer.Replies = append(answer.Replies, message(reply))
		}
		return answer, nil
	}
	return Answer{}, fmt.Errorf("unknown job")
}

// many makes calls and counts who answered: so many of them, or at a rate until the program is told to end.
func (c *callers) many(job Job, limited func() (context.Context, context.CancelFunc), ended <-chan struct{}) (Answer, error) {
	answer := Answer{Nodes: map[string]int{}}
	var mutex sync.Mutex
	call := func() {
		ctx, cancel := limited()
		defer cancel()
		reply, err := c.visit(ctx, job.Target, job.Protocol, job.Dialect, &pb.VisitRequest{Name: "many"})
		mutex.Lock()
		defer mutex.Unlock()
		if err == nil {
			answer.Nodes[reply.Hops[0].Node]++
			return
		}
		answer.Failed++
		if len(answer.Failures) < 5 {
			answer.Failures = append(answer.Failures, fmt.Sprint(time.Now().UnixMilli(), " ", err))
		}
	}
	if job.Do == "visits" {
		// the first calls come before all members are connected
		for end := time.Now().Add(20 * time.Second); len(answer.Nodes) < job.Members && time.Now().Before(end); {
			call()
			time.Sleep(5 * time.Millisecond)
		}
		answer = Answer{Nodes: map[string]int{}}
		for range job.Times {
			call()
		}
		return answer, nil
	}
	stopping, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if _, err := c.get(job.Target, job.Protocol); err != nil {
		return answer, err
	}
	say(map[string]bool{"started": true})
	ticker := time.NewTicker(time.Second / time.Duration(job.Rate))
	defer ticker.Stop()
	var calls sync.WaitGroup
	for {
		select {
		case <-ticker.C:
			calls.Go(call)
			continue
		case <-stopping.Done():
		case <-ended:
		}
		calls.Wait()
		return answer, nil
	}
}

func (c *caller) grpcStream(ctx context.Context, job Job) ([]*pb.TalkMessage, error) {
	client := pb.NewFleetClient(c.conn)
	replies := []*pb.TalkMessage{}
	drain := func(recv func() (*pb.TalkMessage, error)) error {
		for {
			reply, err := recv()
			if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			replies = append(replies, reply)
		}
	}
	messages := job.messages()
	switch job.Do {
	case "watch":
		stream, err := client.Watch(ctx, messages[0])
		if err != nil {
			return nil, err
		}
		err = drain(stream.Recv)
		return replies, err
	case "talk":
		stream, err := client.Talk(ctx)
		if err != nil {
			return nil, err
		}
		for _, message := range messages {
			if err := stream.Send(message); err != nil {
				break // the reply says why
			}
		}
		_ = stream.CloseSend()
		err = drain(stream.Recv)
		return replies, err
	}
	stream, err := client.Collect(ctx)
	if err != nil {
		return nil, err
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			break
		}
	}
	reply, err := stream.CloseAndRecv()
	return []*pb.TalkMessage{reply}, err
}
